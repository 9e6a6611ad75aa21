"""What the supervisor does with what died, without any process."""

from types import SimpleNamespace

import pytest

from server.errors import StartError, UnhealthyError
from server.health.launcher_health import LauncherHealth
from server.launcher import supervisor
from server.launcher.supervisor import Supervisor
from server.triton.backend_processes import BackendProcess


class Service:
    """A service that heals at once, and says what was asked of it."""

    def __init__(self, models):
        self.release = SimpleNamespace(name="p", spec=SimpleNamespace(name="p"), configs=models)
        self.served, self.refused, self.settled = [self.release], {}, True
        self.died, self.healed, self.ended, self.begun = [], [], [], []
        self.ready = list
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

    def start_again(self):
        self.begun.append(self.ready())

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


class Clock:
    """Time that passes while somebody waits."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now

    def wait(self, seconds):
        self.now += seconds
        return False


@pytest.fixture
def service():
    return Service(["p_a", "p_b"])


@pytest.fixture
def gateway():
    return Gateway()


@pytest.fixture
def watch(service, gateway, monkeypatch):
    monkeypatch.setattr(supervisor, "HealthMonitor", lambda *_: SimpleNamespace(
        verdicts=list, healed=lambda _: None))  # fmt: skip
    counter = SimpleNamespace(labels=lambda _: SimpleNamespace(inc=lambda: None))
    health = LauncherHealth(lambda: False)
    health.process_restarts = health.restarts = counter
    service.ready = health.pipelines
    clock = Clock()
    monkeypatch.setattr(supervisor, "time", clock)
    shutdown = SimpleNamespace(wait=clock.wait, requested=lambda: False)
    renewal = SimpleNamespace(due=lambda: False)
    report = SimpleNamespace(say=lambda _: None)
    return Supervisor(
        service,
        gateway,
        None,
        SimpleNamespace(follow=lambda: None, close=lambda: None),
        report=report,
        health=health,
        shutdown=shutdown,
        renewal=renewal,
        leave_seconds=3,
    )


@pytest.fixture
def look(watch):
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


def test_triton_is_started_again_in_order_when_its_certificate_was_renewed(service, watch):
    watch._renew_certificate()
    assert service.begun == []
    watch._renewal.due = lambda: True
    assert watch._health.pipelines() == ["p"]
    watch._renew_certificate()
    assert service.begun == [[]], "it was ready when it ended"
    assert watch._health.pipelines() == ["p"]


def test_a_death_is_seen_to_while_triton_leaves(service, watch):
    watch._renewal.due = lambda: True
    service.died = ["p_a"]
    watch._renew_certificate()
    assert service.healed == [["p_a"]]


def test_a_triton_that_does_not_start_with_its_renewed_certificate_is_tried_again(service, watch):
    def fail():
        raise StartError("triton ended")

    service.start_again = fail
    watch._renewal.due = lambda: True
    with pytest.raises(UnhealthyError, match="triton ended"):
        watch._renew_certificate()
    assert watch._health.pipelines() == ["p"]
