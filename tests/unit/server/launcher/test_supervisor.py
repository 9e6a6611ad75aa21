"""What the supervisor does with what died, without any process."""

from types import SimpleNamespace

import pytest

from server.launcher import supervisor
from server.launcher.supervisor import Supervisor
from server.triton.backend_processes import BackendProcess


class Service:
    """A service that heals at once, and says what was asked of it."""

    def __init__(self, models):
        self.release = SimpleNamespace(spec=SimpleNamespace(name="p"), configs=models)
        self.served, self.refused, self.settled = [self.release], {}, True
        self.died, self.healed, self.ended = [], [], []
        self.processes = {}
        self.triton = SimpleNamespace(
            alive=lambda: True,
            frozen=lambda: False,
            log=SimpleNamespace(bound=lambda: None),
            backend_processes=lambda: self.processes,
        )

    def dead(self, _release):
        return list(self.died)

    def heal(self, _release, models):
        self.healed.append(list(models))
        self.died = [model for model in self.died if model not in models]
        self.meanwhile()
        return True

    def end_processes(self, *, instance):
        self.ended.append(instance)

    def end_stale_processes(self):
        pass

    def remove_dead_regions(self):
        pass


class Gateway:
    def __init__(self):
        self.was_ready, self.stopped, self.hung, self.done = True, False, False, []

    def alive(self):
        return self.done[-1:] != ["kill"]

    def frozen(self):
        return self.stopped

    def hangs(self):
        return self.hung

    def kill(self):
        self.done.append("kill")

    def start(self):
        self.done.append("start")
        self.stopped = self.hung = False


@pytest.fixture
def service():
    return Service(["p_a", "p_b"])


@pytest.fixture
def gateway():
    return Gateway()


@pytest.fixture
def look(service, gateway, monkeypatch):
    monkeypatch.setattr(supervisor, "HealthMonitor", lambda *_: SimpleNamespace(
        verdicts=list, healed=lambda _: None))  # fmt: skip
    counter = SimpleNamespace(labels=lambda _: SimpleNamespace(inc=lambda: None))
    health = SimpleNamespace(
        begin=lambda _: None, look=lambda: None, process_restarts=counter, restarts=counter
    )
    report = SimpleNamespace(say=lambda _: None)
    watch = Supervisor(service, gateway, None, report=report, health=health, shutdown=None)
    return watch._look


def test_deaths_of_one_model_do_not_delay_the_replacement_of_another(service, look):
    for model in ("p_a", "p_b"):
        service.died = [model]
        look()
    assert service.healed == [["p_a"], ["p_b"]]


def test_a_model_that_dies_again_and_again_is_replaced_less_often(service, look):
    for _ in range(3):
        service.died = ["p_a"]
        look()
    assert service.healed == [["p_a"]]


def test_what_happens_while_a_model_is_loaded_is_seen(service, look):
    heal = service.heal

    def slow(release, models):
        if models == ["p_a"]:
            service.processes = {
                7: BackendProcess(7, "q_c", "q_c_0", "region", frozen=True, on_disk=False)
            }
            for _ in range(3):
                supervisor_looks()
        return heal(release, models)

    def supervisor_looks():
        service.meanwhile.__self__._next_look = 0.0
        service.meanwhile()

    service.heal = slow
    service.died = ["p_a"]
    look()
    assert service.ended == ["q_c_0"]


def test_a_gateway_that_is_stopped_by_a_signal_is_replaced_at_the_second_look(gateway, look):
    gateway.stopped = True
    look()
    assert gateway.done == []
    look()
    assert gateway.done == ["kill", "start"]


def test_a_gateway_that_hangs_is_replaced(gateway, look):
    gateway.hung = True
    look()
    assert gateway.done == ["kill", "start"]


def test_a_gateway_that_was_never_ready_is_left_to_the_start(gateway, look):
    gateway.was_ready, gateway.hung = False, True
    look()
    assert gateway.done == []
