"""Measures all contenders in several rounds, in changing order."""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from lab.bench import environment, raw
from lab.bench.contender import Contender, Deployment
from lab.bench.raw_limit import RawLimit
from lab.bench.session import RunContext, Session
from lab.bench.workload import WORKLOADS, measure_of
from lab.errors import ContenderError
from lab.load import photos
from lab.paths import CACHE
from pipelines.enums import Decoding

_LIMIT_SHARE = 0.4
"""Of a cell's seconds, for each batch that the search for the limit tries, and for the limit
before and after a cell."""
BEFORE = -1
"""The round of what is done before the first one."""

Start = tuple[Contender, Deployment]
OnStep = Callable[[str], None]
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
        plans = {}
        for name in options.workloads:
            plan = WORKLOADS[name].plan(options.repository, options.decoding)
            plans[name] = plan.write(CACHE / "plans" / f"{name}.json")
        self.on_step("photos")
        folder = photos.ensure(
            CACHE / "photos-{}x{}".format(*options.photo_size), options.photo_size
        )
        limits = {
            name: RawLimit(name, path, folder, CACHE / "logs") for name, path in plans.items()
        }
        try:
            references = self._references(limits)
            self._limits = limits
            self._measure(
                RunContext(
                    options.repository, folder, plans, references, plan.spec["classes"], CACHE
                )
            )
        finally:
            for limit in limits.values():
                limit.close()

    def _references(self, limits: dict[str, RawLimit]) -> dict[str, list[list[float]]]:
        """Everyone's right answers, by workload; and the best batch of each limit."""
        options, references = self.options, {}
        for name, limit in limits.items():
            self.on_step(f"limit, {name}: reference, best batch")
            references[name] = limit.reference()
            self.limits += limit.search(options.batches, self._seconds(name) * _LIMIT_SHARE)
        return references

    def _measure(self, context: RunContext) -> None:
        options = self.options
        deployments = list(self._deployments())
        if options.compare_first:
            deployments = [
                (contender, deployment)
                for contender, deployment in deployments
                if self._session(context, contender, deployment, BEFORE)
            ]
        turns: list[RawLimit | Start] = [*self._limits.values(), *deployments]
        for round_ in range(options.rounds):
            for each in rotated(turns, round_, options.rounds):
                if isinstance(each, RawLimit):
                    self.on_step(f"round {round_ + 1}: limit, {each.workload}")
                    self.limits += each.measure(round_, self._seconds(each.workload))
                else:
                    contender, deployment = each
                    self._session(context, contender, deployment, round_)

    def _deployments(self) -> Iterator[Start]:
        """Of the contenders that serve what is asked and whose environment can be built."""
        for contender in self.options.contenders:
            deployments = list(self._asked(contender))
            if not deployments:
                self.on_step(f"{contender.name}: serves nothing of what is asked")
                continue
            self.on_step(f"{contender.name}: environment")
            try:
                if contender.environment:
                    environment.ensure(contender.environment)
            except ContenderError as error:
                self._failed(contender, self.options.workloads, BEFORE, str(error))
                continue
            self.described.append(environment.described(contender, sys.executable))
            for deployment in deployments:
                yield contender, deployment

    def _asked(self, contender: Contender) -> Iterator[Deployment]:
        """Its deployments that decode as asked, and of their workloads those that are asked."""
        for deployment in contender.deployments:
            names = [name for name in deployment.workloads if name in self.options.workloads]
            if names and self.options.decoding in deployment.decodings:
                yield replace(deployment, workloads=tuple(names))

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
        return self._limits[name].beside(round_, self._seconds(name) * _LIMIT_SHARE)

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
