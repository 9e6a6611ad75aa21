"""Changes one parameter after another, keeps improvements, and compares the end with the start."""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from lab.machine import CORES
from lab.paths import CACHE
from lab.service.scratch import scratch
from lab.service.service import Service
from lab.tune.candidates import Candidate, knobs
from lab.tune.paired_comparison import Level, compare
from lab.tune.setting import Setting, changes, merge, nested
from pipelines.spec import PipelineSpec

CALLERS = (1, 8, 32)
_SCREENED = (1, 8)
"""Of those, what candidates are tried under; all of them take the winner."""
_GAIN = 1.03
"""Of the geometric mean over the loads: what is less is not worth another setting."""
_LOSS = 0.9
"""Of any one load: more is not given away for a gain elsewhere."""
_FINAL_SHARE = 0.35
"""Of the time, for the comparison at the end."""
OnStep = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What is tuned, and for how long."""

    spec: PipelineSpec
    repository: Path
    requests: Sequence[bytes]
    seconds: float
    """Of all, about."""
    cell: float
    """Seconds of one load of one service."""
    rounds: int
    """Pairs of each load, while candidates are tried."""
    final_rounds: int
    """Pairs of each load at the end: five at least for a verdict."""


@dataclass
class Search:
    """Finds a setting; where it stands is here if it is interrupted."""

    plan: Plan
    on_step: OnStep
    tried: list[tuple[str, float, bool]] = field(default_factory=list)
    """Candidates, their gain, and whether they were kept."""
    left: list[str] = field(default_factory=list)
    """Candidates that there was no time for."""

    def __post_init__(self) -> None:
        self.start = Setting.of(self.plan.spec)
        self.best = self.start
        self._started = time.monotonic()

    def run(self) -> list[Level]:
        """Tries all candidates that there is time for; then the winner against the start.

        Returns:
            The comparison of the start with `best`; empty where nothing won.

        Raises:
            LabError: a service does not start.
        """
        until = self._started + self.plan.seconds * (1 - _FINAL_SHARE)
        with ExitStack() as stack:
            self.on_step("the setting as it is: starting")
            incumbent = stack.enter_context(self._service(self.start, "incumbent"))
            members, serving = self._heaviest_first(incumbent), self.plan.spec.serving
            took = 0.0
            for knob in knobs(members, CORES, serving.max_batch, one_process=serving.one_process):
                base = self.best
                for candidate in knob(base):
                    if time.monotonic() + took > until:
                        self.left.append(candidate.what)
                        continue
                    begun = time.monotonic()
                    if self._wins(incumbent, candidate):
                        self.best = candidate.setting
                    took = max(took, time.monotonic() - begun)
                    if self.best is candidate.setting:
                        stack.close()
                        incumbent = stack.enter_context(self._service(self.best, "incumbent"))
        return self._compared() if self.best != self.start else []

    def _heaviest_first(self, service: Service) -> list[str]:
        """The members by the CPU time that they take."""
        before = service.cpu_seconds()
        compare_self = partial(compare, service, service, self.plan.requests)
        compare_self(callers=_SCREENED[-1:], seconds=self.plan.cell, rounds=1)
        after = service.cpu_seconds()
        cost = {name: after.get(name, 0) - before.get(name, 0) for name in self.start.members}
        return sorted(cost, key=lambda name: cost[name], reverse=True)

    def _wins(self, incumbent: Service, candidate: Candidate) -> bool:
        with self._service(candidate.setting, "candidate") as other:
            levels = compare(
                incumbent,
                other,
                self.plan.requests,
                callers=_SCREENED,
                seconds=self.plan.cell,
                rounds=self.plan.rounds,
            )
        gain = statistics.geometric_mean(max(level.gain, 1e-9) for level in levels)
        each = zip(*(level.pairs for level in levels), strict=True)
        rounds = [statistics.geometric_mean(pair.gain for pair in pairs) for pairs in each]
        won = gain >= _GAIN and min(rounds) > 1 and min(level.gain for level in levels) >= _LOSS
        shown = ", ".join(f"{level.gain:.2f} at {level.callers}" for level in levels)
        self.on_step(f"{candidate.what}: {gain:.2f} of now ({shown}){': kept' if won else ''}")
        self.tried.append((candidate.what, gain, won))
        return won

    def _compared(self) -> list[Level]:
        self.on_step("before and after, in turn")
        plan = self.plan
        with self._service(self.start, "before") as before, self._service(self.best, "after") as it:
            return compare(
                before,
                it,
                plan.requests,
                callers=CALLERS,
                seconds=plan.cell,
                rounds=plan.final_rounds,
            )

    @contextmanager
    def _service(self, setting: Setting, name: str) -> Iterator[Service]:
        spec = self.plan.spec

        def edit(facts: dict[str, Any]) -> None:
            merge(facts, nested(changes(self.start, setting), spec.profile))

        place = scratch(CACHE / "tune" / name, {spec.name: edit}, self.plan.repository)
        with Service(
            [spec.name],
            place.repository,
            log=CACHE / "logs" / f"tune-{name}.log",
            specs=place.specs,
            profile=spec.profile,
            environment=setting.environment,
        ) as service:
            yield service
