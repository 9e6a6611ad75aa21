"""What probes are told, over real HTTP."""

import socket

import httpx
import pytest

from server.errors import StartError
from server.health import launcher_health
from server.health.launcher_health import LauncherHealth
from server.health.status_page import StatusPage


class Launcher:
    """What the page is told of."""

    def __init__(self):
        self.stopping = False
        self.served = ["oral_cancer"]
        self.health = LauncherHealth(lambda: self.stopping)
        with socket.socket() as trial:
            trial.bind(("127.0.0.1", 0))
            self.port = trial.getsockname()[1]
        self.page = StatusPage(self.health)
        self.page.serve("127.0.0.1", self.port)

    def begin(self):
        self.health.begin(lambda: self.served)

    def __getitem__(self, path):
        return httpx.get(f"http://127.0.0.1:{self.port}{path}").status_code


@pytest.fixture
def launcher():
    return Launcher()


def test_it_lives_while_it_starts_and_is_not_ready(launcher):
    assert launcher["/healthz"] == 200
    assert launcher["/readyz"] == 503


def test_it_is_ready_while_a_pipeline_answers(launcher):
    launcher.begin()
    assert launcher["/readyz"] == 200
    assert launcher["/readyz?pipeline=oral_cancer"] == 200
    assert launcher["/readyz?pipeline=mhist"] == 503
    launcher.served = []
    assert launcher["/readyz"] == 503


def test_while_it_stops_it_is_not_ready_but_lives(launcher):
    launcher.begin()
    launcher.stopping = True
    assert launcher["/readyz"] == 503
    assert launcher["/healthz"] == 200


def test_a_launcher_that_looks_after_nothing_any_more_does_not_live(launcher, monkeypatch):
    launcher.begin()
    monkeypatch.setattr(launcher_health, "_PATIENCE_SECONDS", -1.0)
    assert launcher["/healthz"] == 503


def test_a_taken_port_is_named(launcher):
    with pytest.raises(StartError, match=f"port {launcher.port}.*SERVER_METRICS_PORT"):
        launcher.page.serve("127.0.0.1", launcher.port)
