"""A gateway that answers as a test tells it, and notes what it was asked."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PIPELINE = "oral_cancer"
RIGHT = {"pipeline": PIPELINE, "prediction": "cancer", "confidence": 0.9}
BUSY = {"code": "busy"}


class ToyService:
    """Answers right, but for what a test puts in `script`: (status, document, headers)."""

    def __init__(self):
        self.url = ""
        self.learnt = 0
        self.asked = 0
        self.script = []
        self.after = 0
        """How many are answered right before the script begins."""
        self.gate = 0
        """So many must be there at once before any is answered, from the script on."""
        self._lock = threading.Lock()
        self._inside = 0
        self._open = threading.Event()

    def answer(self):
        with self._lock:
            self.asked += 1
            if self.asked <= self.after:
                return 200, RIGHT, {}
            self._inside += 1
            if self._inside >= self.gate:
                self._open.set()
            scripted = self.script.pop(0) if self.script else (200, RIGHT, {})
        assert self._open.wait(30), "too few came at once"
        return scripted


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self._send(200, {"classes": ["healthy", "cancer"]}, {})

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self._send(*self.server.toy.answer())

    def _send(self, status, document, headers):
        body = json.dumps(document).encode()
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class _Server(ThreadingHTTPServer):
    request_queue_size = 64
    daemon_threads = True

    def handle_error(self, *_):
        """A caller who left is no error."""


@contextmanager
def running() -> Iterator[ToyService]:
    toy = ToyService()
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.toy = toy
        toy.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield toy
        finally:
            server.shutdown()
            thread.join()
