"""Detects pipelines that do not answer, by traffic or by probes, and names the action to take."""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum, auto

from server.errors import UnhealthyError
from server.health.pending_probes import PendingProbes, SentProbe
from server.health.probe import Health, ProbeResult, probe
from server.health.stall import BUSY_SECONDS, WORKING_CPU_SECONDS, ModelSample, Stall
from server.releases.verified import VerifiedRelease
from server.triton import metrics
from server.triton.backend_processes import cpu_seconds
from server.triton.process import TritonProcess

_SUSPICIOUS_INTERVAL_SECONDS = 1.0
_DEADLINE_SECONDS = BUSY_SECONDS
"""Of a probe: a shorter one would cancel inferences of a slow pipeline (decisions/0012)."""
_MOST_WAITING = 8


class Action(Enum):
    """What is to be done."""

    NOTE = auto()
    KILL_INSTANCE = auto()
    KILL_MODEL = auto()
    RELOAD = auto()
    RESTART = auto()


@dataclass(frozen=True)
class Verdict:
    """An action, its subject (an instance, a model or a pipeline), and the reason."""

    action: Action
    subject: str
    reason: str


class HealthMonitor:
    """Probes each pipeline in threads, so that nothing waits for a probe.

    A pipeline under load is not dead. No probe is given up early: while one waits in a queue, more
    are sent. A model hangs only where requests wait for it and neither it nor a model that it calls
    does anything (decisions/0031). A process that Triton calls unhealthy is replaced after three
    such results in a row.
    """

    def __init__(
        self, triton: TritonProcess, served: Callable[[], Sequence[VerifiedRelease]]
    ) -> None:
        """Watches the releases that `served` gives, which may change between two calls."""
        self._triton = triton
        self._served = served
        self._pool = ThreadPoolExecutor(max_workers=64)
        self._forget()

    def _forget(self) -> None:
        """Starts again without any result, for this Triton."""
        self._triton_pid = self._triton.pid
        self._pending: defaultdict[str, PendingProbes] = defaultdict(
            lambda: PendingProbes(time.monotonic())
        )

    def healed(self, ensemble: str) -> None:
        """Drops the probes of an ensemble: processes of it were replaced."""
        self._pending[ensemble].withdraw()

    def close(self) -> None:
        """Ends without waiting for the probes."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def verdicts(self) -> list[Verdict]:
        """What is to be done now; mostly nothing."""
        if self._triton.pid != self._triton_pid:
            self._forget()
        return [verdict for release in self._served() for verdict in self._consider(release)]

    def _consider(self, release: VerifiedRelease) -> list[Verdict]:
        name, now = release.name, time.monotonic()
        pending = self._pending[name]
        verdicts = [
            verdict
            for sent, result in pending.results()
            for verdict in self._judge(name, pending, result) + self._judge_loss(pending, sent)
        ]
        due = now >= pending.next
        if due and self._worked_for_callers(release, pending):
            pending.killed = set()
            pending.next = now + pending.interval
        elif due and len(pending.waiting) < _MOST_WAITING:
            connection = self._triton.connection
            sent = self._pool.submit(probe, connection, name, _DEADLINE_SECONDS)
            pending.waiting.append(SentProbe(now, sent, self._cpu(release)))
            pending.next = now + pending.interval
        if pending.silent(now):
            verdicts += self._judge_silence(release, pending, now)
        return verdicts

    def _worked_for_callers(self, release: VerifiedRelease, pending: PendingProbes) -> bool:
        """Whether every model that a probe would ask has answered callers since one was due."""
        try:
            _, done = metrics.read(*self._triton.metrics_address)
        except UnhealthyError:
            return False
        before, pending.inferences = pending.inferences, done
        models = release.answering_models
        return not pending.waiting and all(done[model] > before[model] for model in models)

    def _judge(self, name: str, pending: PendingProbes, result: ProbeResult) -> list[Verdict]:
        health = result.health
        if health is Health.ANSWERED:
            pending.answered = time.monotonic()
            pending.fastest = min(pending.fastest or result.seconds, result.seconds)
        if health in {Health.ANSWERED, Health.BUSY, Health.FAILED}:
            pending.clear_suspicion()
            return [Verdict(Action.NOTE, name, result.message)] if health is Health.FAILED else []
        pending.next = time.monotonic() + _SUSPICIOUS_INTERVAL_SECONDS
        if health is Health.SILENT or not pending.third_strike():
            return []
        if health is Health.PROCESS_DEAD:
            return [Verdict(Action.KILL_INSTANCE, result.instance, result.message)]
        action = Action.RELOAD if health is Health.NOT_LOADED else Action.RESTART
        return [Verdict(action, name, result.message)]

    def _judge_loss(self, pending: PendingProbes, sent: SentProbe) -> list[Verdict]:
        """Finds the instance that keeps a probe while others of its model answer the later ones.

        Nothing waits then, so the model as a whole does not seem to hang. It is one that has done
        nothing since; that it may only have had nothing to do is no harm: it is replaced.
        """
        if sent.future.result().health is not Health.SILENT or pending.answered < sent.at:
            return []
        processes = self._triton.backend_processes().values()
        siblings = Counter(process.model for process in processes)
        return [
            Verdict(Action.KILL_INSTANCE, process.instance, "it keeps a request and does nothing")
            for process in processes
            if siblings[process.model] > 1
            and process.pid in sent.cpu
            and cpu_seconds(process.pid) - sent.cpu[process.pid] < WORKING_CPU_SECONDS
        ]

    def _cpu(self, release: VerifiedRelease) -> dict[int, float]:
        processes = self._triton.backend_processes().values()
        return {
            process.pid: cpu_seconds(process.pid)
            for process in processes
            if process.model in release.configs
        }

    def _judge_silence(
        self, release: VerifiedRelease, pending: PendingProbes, now: float
    ) -> list[Verdict]:
        name = release.name
        try:
            samples = self._samples(release)
        except UnhealthyError as error:
            # On a starved machine its metrics are late.
            itself = {name: ModelSample(waiting=1, inferences=0, cpu=self._own_cpu())}
            mute = pending.mute.hanging(now, itself)
            return [Verdict(Action.RESTART, name, str(error))] if mute else []
        pending.mute = Stall()
        blamed = [
            suspect
            for model in pending.stall.hanging(now, samples)
            for suspect in self._suspects(model, samples, pending)
        ]
        if not blamed:
            return []
        for model in blamed:
            if samples[model].native:
                reason = f"{model} makes no progress, and has no process of its own to replace"
                return [Verdict(Action.RESTART, name, reason)]
            if model in pending.killed:
                reason = f"{model}: no progress even with new processes"
                return [Verdict(Action.RESTART, name, reason)]
        pending.stall = Stall()
        pending.killed.update(blamed)
        return [Verdict(Action.KILL_MODEL, model, "no progress") for model in blamed]

    def _samples(self, release: VerifiedRelease) -> dict[str, ModelSample]:
        waiting, inferences = metrics.read(*self._triton.metrics_address)
        cpu: defaultdict[str, float] = defaultdict(float)
        on_disk: set[str] = set()
        for process in self._triton.backend_processes().values():
            cpu[process.model] += cpu_seconds(process.pid)
            if process.on_disk:
                on_disk.add(process.model)
        name, own = release.name, self._own_cpu()
        # The ensemble itself has no queue.
        models = [model for model in release.configs if model != name]
        called = sorted({*release.members.values()}.intersection(models))
        return {
            model: ModelSample(
                waiting=waiting[model],
                inferences=inferences[model],
                cpu=cpu.get(model, own),
                native=model in called and model not in cpu,
                on_disk=model in on_disk,
                waits_for=called if model == release.decision else (),
            )
            for model in models
        }

    def _own_cpu(self) -> float:
        return cpu_seconds(self._triton.pid or 0)

    @staticmethod
    def _suspects(model: str, samples: dict[str, ModelSample], pending: PendingProbes) -> list[str]:
        """Who hangs where a model does: one that it calls may, at work and with an empty queue.

        Those have their processes replaced first, as they run other people's code. But a model
        that uses CPU time waits for nobody.
        """
        called = samples[model].waits_for if pending.stall.rests(model) else ()
        return [
            name for name in called if name not in pending.killed and not samples[name].native
        ] or [model]
