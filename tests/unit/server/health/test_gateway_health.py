"""A gateway that does nothing is told from one that is only slow."""

import contextlib
import os
import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace

import pytest

from server.health import gateway_health
from server.health.gateway_health import GatewayHealth
from server.health.stall import BUSY_SECONDS, IDLE_SECONDS
from tests.certificates import Site


@pytest.fixture
def mute():
    """A port where connections are taken and nothing is said."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(100)
        yield listener.getsockname()[1]


@contextlib.contextmanager
def serving(status, site=None):
    class Page(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_):
            pass

    class Server(HTTPServer):
        def handle_error(self, *_):
            """Who speaks no TLS is not let in."""

    page = Server(("127.0.0.1", 0), Page)
    if site:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(site.certificate, site.key)
        page.socket = context.wrap_socket(page.socket, server_side=True)
    threading.Thread(target=page.serve_forever, daemon=True).start()
    yield page.server_port
    page.shutdown()
    page.server_close()


@pytest.fixture(params=[200, 503], ids=["alive", "too many connections"])
def alive(request):
    with serving(request.param) as port:
        yield port


@pytest.fixture
def alive_over_tls(tmp_path):
    site = Site(tmp_path)
    site.issue()
    with serving(200, site) as port:
        yield site, port


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


def test_a_gateway_is_asked_over_tls_where_its_settings_say_so(
    alive_over_tls, alive, hangs_after, monkeypatch
):
    site, port = alive_over_tls
    monkeypatch.setenv("GATEWAY_TLS_CERTIFICATE_FILE", str(site.certificate))
    monkeypatch.setenv("GATEWAY_TLS_KEY_FILE", str(site.key))
    assert hangs_after(port, 120) is None
    assert IDLE_SECONDS < hangs_after(alive, 120) < IDLE_SECONDS + 10


def test_a_gateway_that_neither_answers_nor_works_hangs(mute, hangs_after):
    assert IDLE_SECONDS < hangs_after(mute, 120) < IDLE_SECONDS + 10


def test_a_gateway_that_works_on_a_starved_machine_has_long(mute, hangs_after):
    found = hangs_after(mute, 400, share=0.3)
    assert BUSY_SECONDS < found < BUSY_SECONDS + 10
