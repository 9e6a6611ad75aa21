"""A small server of photos for the load generator to ask; `python door_server.py PORT SECONDS`.

It answers `RIGHT` after as much CPU time, or what the photo holds after `ANSWER`.
"""

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

RIGHT = {"probabilities": {"no": 0.25, "yes": 0.75}}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wait = 0.0

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        photo = body.split(b"\r\n\r\n", 1)[1].split(b"\r\n--")[0]
        work = time.thread_time()
        while time.thread_time() - work < self.wait:
            pass
        answer = json.dumps(RIGHT).encode()
        if photo.startswith(b"ANSWER"):
            answer = photo.removeprefix(b"ANSWER")
        self.send_response(503 if photo == b"REFUSE" else 200)
        if photo == b"CLOSE":
            self.send_header("Connection", "close")
        if photo == b"CHUNKS":
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for part in (answer[:5], answer[5:], b""):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            return
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    Handler.wait = float(sys.argv[2])
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
