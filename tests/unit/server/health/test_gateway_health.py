"""A gateway that does nothing is told from one that is only slow."""

import os
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace

import pytest

from server.health import gateway_health
from server.health.gateway_health import GatewayHealth
from server.health.stall import BUSY_SECONDS, IDLE_SECONDS


@pytest.fixture
def mute():
    """A port where connections are taken and nothing is said."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(100)
        yield listener.getsockname()[1]


@pytest.fixture(params=[200, 503], ids=["alive", "too many connections"])
def alive(request):
    class Page(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(request.param)
            self.end_headers()

        def log_message(self, *_):
            pass

    page = HTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=page.serve_forever, daemon=True).start()
    yield page.server_port
    page.shutdown()
    page.server_close()


@pytest.fixture
def hangs_after(monkeypatch):
    """Looks each second; says after how many it is taken for hanging, None for never."""
    clock = SimpleNamespace(now=1000.0, cpu=0.0)
    monkeypatch.setattr(gateway_health, "time", SimpleNamespace(monotonic=lambda: clock.now))
    monkeypatch.setattr(gateway_health, "_TIMEOUT_SECONDS", 0.02)
    monkeypatch.setattr(gateway_health, "cpu_seconds", lambda _pid: clock.cpu)

    def look(port, seconds, share=0.0):
        health = GatewayHealth("127.0.0.1", port)
        for second in range(seconds):
            if health.hangs(os.getpid()):
                return second
            clock.now += 1
            clock.cpu += share
            health._pool.submit(lambda: None).result()  # the probe is over
        health.close()
        return None

    return look


def test_a_gateway_that_answers_is_left_alone(alive, hangs_after):
    assert hangs_after(alive, 120) is None


def test_a_gateway_that_neither_answers_nor_works_hangs(mute, hangs_after):
    assert IDLE_SECONDS < hangs_after(mute, 120) < IDLE_SECONDS + 10


def test_a_gateway_that_works_on_a_starved_machine_has_long(mute, hangs_after):
    found = hangs_after(mute, 400, share=0.3)
    assert BUSY_SECONDS < found < BUSY_SECONDS + 10
