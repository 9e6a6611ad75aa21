"""Measures all contenders in several rounds, in changing order."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from lab.bench import raw
from lab.bench.contender import Contender, Deployment
from lab.bench.preparation import LIMIT_SHARE, OnStep, Start, deployments, described, prepared
from lab.bench.raw_limit import RawLimit
from lab.bench.session import RunContext, Session
from lab.bench.workload import WORKLOADS, measure_of
from lab.errors import ContenderError
from pipelines.enums import Decoding

BEFORE = -1
"""The round of what is done before the first one."""

Entry = TypeVar("Entry")


@dataclass(frozen=True)
class Options:
    """How much is measured."""

    contenders: Sequence[Contender]
    workloads: tuple[str, ...]
    concurrency: tuple[int, ...]
    rounds: int
    seconds: float
    """Of each cell, after which nothing more is asked; of some workloads several times as many."""
    batches: tuple[int, ...]
    """That the search for the limit tries."""
    decoding: Decoding
    photo_size: tuple[int, int]
    """Width and height."""
    repository: Path
    compare_first: bool
    """Whether everyone's answers are compared before anyone is timed; else each one's are,
    before it is timed."""


@dataclass
class Run:
    """Measures; what was measured so far stays here if it is interrupted."""

    options: Options
    on_step: OnStep
    limits: list[raw.Limit] = field(default_factory=list)
    sessions: list[raw.Session] = field(default_factory=list)
    cells: list[raw.Cell] = field(default_factory=list)
    described: list[raw.Described] = field(default_factory=list)
    _limits: dict[str, RawLimit] = field(default_factory=dict)

    def all(self) -> None:
        """Everything.

        Raises:
            LabError: models are missing, or a contender answers otherwise than the others.
        """
        options = self.options
        with prepared(
            options.workloads,
            decoding=options.decoding,
            photo_size=options.photo_size,
            repository=options.repository,
            batches=options.batches,
            seconds=options.seconds,
            on_step=self.on_step,
        ) as ready:
            self._limits = ready.limits
            self.limits += ready.searched
            self._measure(ready.context)

    def _measure(self, context: RunContext) -> None:
        options = self.options
        starts = list(
            deployments(
                options.contenders,
                options.workloads,
                options.decoding,
                self.on_step,
                lambda contender, why: self._failed(contender, options.workloads, BEFORE, why),
            )
        )
        self.described += described(starts)
        if options.compare_first:
            starts = [
                (contender, deployment)
                for contender, deployment in starts
                if self._session(context, contender, deployment, BEFORE)
            ]
        turns: list[RawLimit | Start] = [*self._limits.values(), *starts]
        for round_ in range(options.rounds):
            for each in rotated(turns, round_, options.rounds):
                if isinstance(each, RawLimit):
                    self.on_step(f"round {round_ + 1}: limit, {each.workload}")
                    self.limits += each.measure(round_, self._seconds(each.workload))
                else:
                    contender, deployment = each
                    self._session(context, contender, deployment, round_)

    def _session(
        self, context: RunContext, contender: Contender, deployment: Deployment, round_: int
    ) -> bool:
        """One session; whether the contender got through it."""
        options, where = self.options, f"round {round_ + 1}" if round_ >= 0 else "comparison"
        self.on_step(f"{where}: {contender.name}, {'/'.join(deployment.workloads)}: start")
        try:
            with Session(context, contender, deployment) as session:
                cold = session.start()
                apart = max(session.compare(name) for name in deployment.workloads)
                self.sessions.append(
                    raw.Session(
                        round=round_,
                        contender=contender.name,
                        workloads=deployment.workloads,
                        cold_start_seconds=cold,
                        apart=apart,
                    )
                )
                for workload in deployment.workloads if round_ >= 0 else ():
                    cells = session.cells(
                        round_,
                        workload,
                        options.concurrency,
                        self._seconds(workload),
                        partial(self._beside, workload, round_),
                    )
                    self.on_step(f"{where}: {contender.name}, {workload}")
                    self.cells += cells
        except ContenderError as error:
            self._failed(contender, deployment.workloads, round_, str(error))
            return False
        return True

    def _beside(self, workload: str, round_: int) -> raw.Limit:
        name = measure_of(workload, self.options.workloads)
        return self._limits[name].beside(round_, self._seconds(name) * LIMIT_SHARE)

    def _seconds(self, workload: str) -> float:
        return self.options.seconds * WORKLOADS[workload].longer

    def _failed(
        self, contender: Contender, workloads: tuple[str, ...], round_: int, reason: str
    ) -> None:
        self.on_step(f"{contender.name} failed: {reason}")
        self.sessions.append(
            raw.Session(round=round_, contender=contender.name, workloads=workloads, failed=reason)
        )


def rotated(entries: list[Entry], round_: int, rounds: int) -> list[Entry]:
    """The same entries, begun at another one in each round."""
    first = round_ * max(1, len(entries) // rounds) % len(entries)
    return entries[first:] + entries[:first]
