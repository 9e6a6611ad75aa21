"""Sees that each pipeline answers, by its traffic or by asking it, and judges what to do if not."""

import time
from collections import Counter, defaultdict
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum, auto

from server.errors import UnhealthyError
from server.health.probe import Finding, Health, probe
from server.health.stall import ModelSample, Stall
from server.launcher.service import Service
from server.releases.verified import VerifiedRelease
from server.triton import metrics as queues
from server.triton.backend_processes import cpu_seconds

_INTERVAL_SECONDS = 5.0
_SHARE = 0.05
"""Of a pipeline's time that probes may take: a slow one is asked less often."""
_SUSPICIOUS_INTERVAL_SECONDS = 1.0
_SILENT_SECONDS = 3.0
_DEADLINE_SECONDS = 60.0
_MOST_WAITING = 8
_STRIKES = 3
"""Bad findings in a row before anything is replaced for their sake."""


class Action(Enum):
    """What a verdict asks for."""

    NOTE = auto()
    KILL_INSTANCE = auto()
    KILL_MODEL = auto()
    RELOAD = auto()
    RESTART = auto()


@dataclass(frozen=True)
class Verdict:
    """An action, its subject (an instance, a model or a pipeline), and why."""

    action: Action
    subject: str
    reason: str


class Questions:
    """The probes of one pipeline that are not answered yet, and what is suspected meanwhile."""

    def __init__(self) -> None:
        self.waiting: list[tuple[float, Future[Finding]]] = []
        self.next = time.monotonic() + _INTERVAL_SECONDS
        self.strikes = 0
        self.stall = Stall()
        self.killed = False
        self.fastest: float | None = None
        """Seconds of the quickest answer: what a probe costs where nothing is in its way."""
        self.inferences: Counter[str] = Counter()
        """Done by each model until a probe was last due."""

    @property
    def interval(self) -> float:
        """Seconds between two probes."""
        return max(_INTERVAL_SECONDS, (self.fastest or 0.0) / _SHARE)

    def answered(self) -> list[Finding]:
        """The findings that came in since the last call."""
        done = [probe.result() for _, probe in self.waiting if probe.done()]
        self.waiting = [(at, probe) for at, probe in self.waiting if not probe.done()]
        return done

    def silent(self, now: float) -> bool:
        """Whether the oldest probe waits for longer than a healthy, idle pipeline needs."""
        return bool(self.waiting) and now - self.waiting[0][0] > _SILENT_SECONDS

    def withdraw(self) -> None:
        """What is still asked was asked of processes that are no more."""
        self.waiting, self.strikes, self.stall = [], 0, Stall()

    def calm(self) -> None:
        """An answer came: no suspicion is left."""
        self.strikes, self.stall, self.killed = 0, Stall(), False

    def third_strike(self) -> bool:
        """Counts a bad finding."""
        self.strikes = (self.strikes + 1) % _STRIKES
        return self.strikes == 0


class Answers:
    """The probes wait in threads, so that nobody waits for them.

    Load is not death. A probe is never given up early: while it waits in a queue more are sent
    after it, and only where they pile up before a model that does nothing does that model hang.
    What Triton calls unhealthy must be so three times in a row.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._pool = ThreadPoolExecutor(max_workers=64)
        self.forget()

    def forget(self) -> None:
        """Starts afresh, with a Triton of which nothing was observed yet."""
        self._questions: defaultdict[str, Questions] = defaultdict(Questions)

    def healed(self, pipeline: str) -> None:
        """A pipeline has new processes: the answers of the old ones say nothing about them."""
        self._questions[pipeline].withdraw()

    def close(self) -> None:
        """Lets go of the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def verdicts(self) -> list[Verdict]:
        """What there is to do now; mostly nothing."""
        return [verdict for release in self._service.served for verdict in self._consider(release)]

    def _consider(self, release: VerifiedRelease) -> list[Verdict]:
        name, now = release.spec.name, time.monotonic()
        questions = self._questions[name]
        verdicts = [
            verdict
            for finding in questions.answered()
            for verdict in self._judge(name, questions, finding)
        ]
        due = now >= questions.next
        if due and self._vouched(release, questions):
            questions.next = now + questions.interval
        elif due and len(questions.waiting) < _MOST_WAITING:
            connection = self._service.triton.connection
            asked = self._pool.submit(probe, connection, name, _DEADLINE_SECONDS)
            questions.waiting.append((now, asked))
            questions.next = now + questions.interval
        if questions.silent(now):
            verdicts += self._judge_silence(release, questions, now)
        return verdicts

    def _vouched(self, release: VerifiedRelease, questions: Questions) -> bool:
        """Whether everything that a probe would ask has worked for callers since one was due."""
        try:
            _, done = queues.read(*self._service.triton.metrics_address)
        except UnhealthyError:
            return False
        before, questions.inferences = questions.inferences, done
        asked = release.spec.models_asked
        return not questions.waiting and all(done[model] > before[model] for model in asked)

    def _judge(self, name: str, questions: Questions, finding: Finding) -> list[Verdict]:
        health = finding.health
        if health is Health.ANSWERED:
            questions.fastest = min(questions.fastest or finding.seconds, finding.seconds)
        if health in {Health.ANSWERED, Health.BUSY, Health.FAILED}:
            questions.calm()
            return [Verdict(Action.NOTE, name, finding.message)] if health is Health.FAILED else []
        questions.next = time.monotonic() + _SUSPICIOUS_INTERVAL_SECONDS
        if health is Health.SILENT or not questions.third_strike():
            return []
        if health is Health.STUB_DEAD:
            return [Verdict(Action.KILL_INSTANCE, finding.instance, finding.message)]
        action = Action.RELOAD if health is Health.NOT_LOADED else Action.RESTART
        return [Verdict(action, name, finding.message)]

    def _judge_silence(
        self, release: VerifiedRelease, questions: Questions, now: float
    ) -> list[Verdict]:
        name = release.spec.name
        try:
            hanging = questions.stall.hanging(now, self._samples(release))
        except UnhealthyError as error:
            gone = questions.third_strike()
            return [Verdict(Action.RESTART, name, str(error))] if gone else []
        if not hanging:
            return []
        if questions.killed:
            return [Verdict(Action.RESTART, name, "no progress even with new processes")]
        questions.stall, questions.killed = Stall(), True
        return [Verdict(Action.KILL_MODEL, model, "no progress") for model in hanging]

    def _samples(self, release: VerifiedRelease) -> dict[str, ModelSample]:
        waiting, inferences = queues.read(*self._service.triton.metrics_address)
        cpu: defaultdict[str, float] = defaultdict(float)
        for stub in self._service.triton.stubs().values():
            cpu[stub.model] += cpu_seconds(stub)
        # The ensemble itself has no process.
        models = [model for model in release.configs if model != release.spec.name]
        return {
            model: ModelSample(waiting[model], inferences[model], cpu[model]) for model in models
        }
