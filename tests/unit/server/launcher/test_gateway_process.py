"""The gateway's start: what ends it by itself ends the service, what kills it does not."""

import subprocess
import sys

import pytest

from pipelines.ports import Ports
from server.errors import StartError
from server.launcher import gateway_process
from server.launcher.gateway_process import GatewayProcess
from tests.integration.service import free_ports

READY = """
import http.server, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
KILLED = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"


@pytest.fixture
def gateway(tmp_path, monkeypatch):
    port = free_ports(1)[0]
    gateway = GatewayProcess(Ports(gateway_port=port), "127.0.0.1", tmp_path)
    gateway.programs = []

    def start(*_):
        return subprocess.Popen([sys.executable, "-c", gateway.programs.pop(0), str(port)])

    monkeypatch.setattr(gateway_process.parent_death, "start", start)
    yield gateway
    gateway.kill()


def test_a_gateway_that_is_killed_before_it_is_ready_is_started_again(gateway):
    gateway.programs = [KILLED, READY]
    said = []
    gateway.start()
    gateway.wait_until_ready(lambda: False, said.append)
    assert gateway.alive()
    assert said == ["gateway: SIGKILL ended it at the start; starting anew"]


def test_a_gateway_that_ends_by_itself_ends_the_start(gateway):
    gateway.programs = ["raise SystemExit(2)"]
    gateway.start()
    with pytest.raises(StartError, match="it ended at the start; its own message is above"):
        gateway.wait_until_ready(lambda: False, print)
