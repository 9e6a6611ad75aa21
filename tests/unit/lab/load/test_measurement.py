"""Answers, refusals and other errors of a real HTTP server are told apart."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from lab.load.http import upload
from lab.load.measurement import measure


class Refusing(BaseHTTPRequestHandler):
    """Answers 200, 429, 504, 200, ... in turn, and keeps what came."""

    protocol_version = "HTTP/1.1"
    seen: list[bytes]

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append(body)
        self.send_response((200, 429, 504)[(len(self.seen) - 1) % 3])
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        """Says nothing."""


@pytest.fixture
def server(request):
    Refusing.seen = []
    handler = getattr(request, "param", Refusing)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        yield serving
        serving.shutdown()
        thread.join()


def service_at(port):
    return SimpleNamespace(
        ports=SimpleNamespace(gateway_port=port),
        cpu_seconds=lambda: {"gateway": 1.0},
        pss_mib=lambda: {"gateway": 5.0},
    )


def test_refusals_are_counted_apart_from_answers_and_errors(server):
    requests = [upload("/predict", [b"photo"])]
    found = measure(
        service_at(server.server_address[1]), requests, concurrency=1, seconds=0, fewest=6, warm=3
    )
    assert (found.requests, found.refused, found.errors) == (2, 2, {"status 504": 2})
    assert found.pss_mib == {"gateway": 5.0}
    assert found.cpu_seconds == {"gateway": 0.0}


def test_an_upload_holds_all_photos_in_the_field(server):
    requests = [upload("/predict/batch", [b"first", b"second"], "files")]
    measure(service_at(server.server_address[1]), requests, concurrency=1, seconds=0, memory=False)
    assert Refusing.seen[0].count(b'name="files"') == 2
    assert Refusing.seen[0].index(b"first") < Refusing.seen[0].index(b"second")


class Leaving(Refusing):
    """Ends the first connection without an answer, as a server does that was idle too long."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append(b"")
        if len(self.seen) == 1:
            self.close_connection = True
            return
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")


@pytest.mark.parametrize("server", [Leaving], indirect=True)
def test_a_connection_that_ended_while_it_was_idle_is_no_error(server):
    requests = [upload("/predict", [b"photo"])]
    found = measure(
        service_at(server.server_address[1]), requests, concurrency=1, seconds=0, fewest=2, warm=0
    )
    assert (found.requests, found.errors) == (2, {})
