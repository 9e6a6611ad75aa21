"""What is done about a pipeline whose probes get no answer."""

from collections import Counter
from concurrent.futures import Future
from types import SimpleNamespace

import pytest

from pipelines.load import load_spec
from server.errors import UnhealthyError
from server.health import monitor
from server.health.monitor import Action, HealthMonitor
from server.health.probe import Health, ProbeResult
from server.health.stall import BUSY_SECONDS, IDLE_SECONDS
from server.releases.verified import VerifiedRelease

SPEC = load_spec("oral_cancer")
TRITON = 7
VGG16, REGNET, DECISION = "oral_cancer_vgg16", "oral_cancer_regnet", "oral_cancer_decision"


class Pipeline:
    """A pipeline that never answers, as the monitor sees it."""

    def __init__(self, monkeypatch):
        self.now = 1000.0
        self.waiting: Counter[str] | None = Counter()
        self.pids = {model: number for number, model in enumerate(SPEC.models[:-1], start=100)}
        self.cpu: Counter[int] = Counter()
        self.inferences: Counter[str] = Counter()
        self.deadlines: list[float] = []
        self.probes: list[Future] = []
        self.others: dict[int, str] = {}
        """Further processes, and the models that they are instances of."""
        self.triton = triton = SimpleNamespace(
            pid=TRITON,
            connection=None,
            metrics_address=("127.0.0.1", 1),
            backend_processes=self.processes,
        )
        release = VerifiedRelease(
            SimpleNamespace(spec=SPEC, members=SPEC.members), dict.fromkeys(SPEC.models), files=None
        )
        monkeypatch.setattr(monitor, "time", SimpleNamespace(monotonic=lambda: self.now))
        monkeypatch.setattr(monitor, "cpu_seconds", lambda pid: float(self.cpu[pid]))
        monkeypatch.setattr(monitor.metrics, "read", lambda *_: self.metrics())
        self.monitor = HealthMonitor(triton, lambda: [release])
        self.monitor._pool.shutdown()
        self.monitor._pool = SimpleNamespace(submit=self.submit)

    def submit(self, _probe, _connection, _pipeline, deadline):
        self.deadlines.append(deadline)
        self.probes.append(Future())
        return self.probes[-1]

    def processes(self):
        pids = {pid: model for model, pid in self.pids.items()} | self.others
        return {
            pid: SimpleNamespace(model=model, pid=pid, instance=f"{model}_{pid}", on_disk=False)
            for pid, model in pids.items()
        }

    def metrics(self):
        if self.waiting is None:
            raise UnhealthyError("tritonserver's metrics do not answer")
        return self.waiting, self.inferences.copy()

    def look(self, seconds, **cpu):
        """The first verdicts within so many seconds."""
        for _ in range(int(seconds)):
            self.now += 1
            self.cpu.update({int(pid.removeprefix("pid")): used for pid, used in cpu.items()})
            if verdicts := self.monitor.verdicts():
                return [(verdict.action, verdict.subject) for verdict in verdicts]
        return []


@pytest.fixture
def pipeline(monkeypatch):
    return Pipeline(monkeypatch)


def test_a_model_that_hangs_again_with_new_processes_restarts_triton(pipeline):
    pipeline.waiting = Counter({VGG16: 1, DECISION: 3})
    assert pipeline.look(60) == [(Action.KILL_MODEL, VGG16)]
    assert pipeline.look(60) == [(Action.RESTART, SPEC.name)]


def test_where_all_rest_the_members_are_replaced_then_the_decision_then_triton(pipeline):
    pipeline.waiting = Counter({DECISION: 3})
    assert pipeline.look(60) == [(Action.KILL_MODEL, REGNET), (Action.KILL_MODEL, VGG16)]
    assert pipeline.look(60) == [(Action.KILL_MODEL, DECISION)]
    assert pipeline.look(60) == [(Action.RESTART, SPEC.name)]


def test_a_decision_is_not_blamed_while_triton_computes_native_members(pipeline):
    for member in (VGG16, REGNET):
        del pipeline.pids[member]
    pipeline.waiting = Counter({VGG16: 2, DECISION: 20})
    assert pipeline.look(BUSY_SECONDS - 20, pid7=0.5) == []


def test_a_native_member_that_does_nothing_for_long_restarts_triton(pipeline):
    del pipeline.pids[VGG16]
    pipeline.waiting = Counter({VGG16: 2, DECISION: 20})
    assert pipeline.look(BUSY_SECONDS - 20) == []
    assert pipeline.look(60) == [(Action.RESTART, SPEC.name)]


def test_metrics_that_are_late_on_a_busy_machine_do_not_restart_triton(pipeline):
    pipeline.waiting = None
    assert pipeline.look(200, pid7=0.2) == []


def test_a_triton_that_is_mute_and_idle_is_started_again(pipeline):
    pipeline.waiting = None
    assert pipeline.look(IDLE_SECONDS) == []
    assert pipeline.look(20) == [(Action.RESTART, SPEC.name)]


def test_a_decision_in_an_endless_loop_is_blamed_and_not_the_members_that_rest(pipeline):
    decision = f"pid{pipeline.pids[DECISION]}"
    pipeline.waiting = Counter({DECISION: 3})
    assert pipeline.look(BUSY_SECONDS - 20, **{decision: 1.0}) == []
    assert pipeline.look(60, **{decision: 1.0}) == [(Action.KILL_MODEL, DECISION)]


def test_a_model_that_answered_callers_since_has_its_processes_replaced_once_more(pipeline):
    pipeline.waiting = Counter({VGG16: 1, DECISION: 3})
    assert pipeline.look(60) == [(Action.KILL_MODEL, VGG16)]
    pipeline.monitor.healed(SPEC.name)
    pipeline.waiting = Counter()
    for _ in range(60):
        pipeline.inferences.update(SPEC.answering_models)
        assert pipeline.look(1) == []
    pipeline.waiting = Counter({VGG16: 1, DECISION: 3})
    assert pipeline.look(90) == [(Action.KILL_MODEL, VGG16)]


def test_no_probe_is_given_up_before_the_model_counts_as_hanging(pipeline):
    pipeline.look(10)
    assert pipeline.deadlines
    assert min(pipeline.deadlines) >= BUSY_SECONDS


def test_one_of_several_instances_that_lost_a_probe_is_replaced_and_no_other(pipeline):
    """Its siblings drain the queue, so that nothing waits, and answer what comes later."""
    pipeline.others = {300: DECISION, 301: REGNET}
    asleep = 300
    pipeline.look(6)
    lost, _ = pipeline.probes[0], pipeline.probes.clear()
    for _ in range(int(BUSY_SECONDS)):
        for probe in pipeline.probes:
            probe.done() or probe.set_result(ProbeResult(Health.ANSWERED, seconds=0.1))
        pipeline.cpu.update({pid: 1 for pid in pipeline.processes() if pid != asleep})
        assert pipeline.look(1) == []
    lost.set_result(ProbeResult(Health.SILENT, "Deadline Exceeded"))
    assert pipeline.look(1) == [(Action.KILL_INSTANCE, f"{DECISION}_{asleep}")]


def test_a_lost_probe_while_nobody_is_answered_says_nothing_of_an_instance(pipeline):
    pipeline.others = {300: DECISION}
    pipeline.look(6)
    pipeline.probes[0].set_result(ProbeResult(Health.SILENT, "Deadline Exceeded"))
    assert pipeline.look(1) == []


def test_probes_of_a_triton_that_was_started_again_say_nothing_of_the_new_one(pipeline):
    pipeline.look(30)
    old = list(pipeline.probes)
    assert len(old) > 3
    pipeline.triton.pid = TRITON + 1
    for probe in old:
        probe.set_result(ProbeResult(Health.UNREACHABLE, "Socket closed"))
    assert pipeline.look(1) == []
