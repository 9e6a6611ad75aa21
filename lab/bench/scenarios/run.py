"""Measures all contenders scenario by scenario, each in several rounds, in changing order."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from lab.bench.contender import Contender, Deployment, Launch, Place
from lab.bench.preparation import (
    LIMIT_SHARE,
    OnStep,
    Prepared,
    deployments,
    described,
    prepared,
)
from lab.bench.run import rotated
from lab.bench.scenarios import figures
from lab.bench.scenarios.measurement import SHARES, Measurement, Sizes
from lab.bench.scenarios.raw import (
    Bound,
    Found,
    Offline,
    Point,
    Raw,
    Scenario,
    Session,
    Single,
)
from lab.bench.session import Session as RunningContender
from lab.bench.workload import WORKLOADS, measure_of
from lab.errors import ContenderError, LabError
from pipelines.enums import Decoding

_KEPT_IN = {Single: "singles", Offline: "offlines", Point: "points", Found: "found"}
_BATCHES = (1, 4, 8)
"""That the search for the limit tries."""


class Run:
    """Measures what is not measured yet; what there is so far is in `raw`."""

    def __init__(
        self,
        contenders: Sequence[Contender],
        repository: Path,
        raw: Raw,
        *,
        on_step: OnStep,
        on_progress: Callable[[Raw], None],
    ) -> None:
        """Goes on from `raw`; failures in it are tried again.

        Args:
            contenders: who is measured.
            repository: Triton's.
            raw: what there is.
            on_step: told of each step.
            on_progress: takes the raw data after each contender.
        """
        self.raw = raw.model_copy(
            update={"sessions": tuple(each for each in raw.sessions if not each.failed)}
        )
        self._contenders, self._repository = contenders, repository
        self._on_step, self._on_progress = on_step, on_progress

    def all(self) -> None:
        """Everything.

        Raises:
            LabError: models are missing.
        """
        setup = self.raw.setup
        with prepared(
            setup.workloads,
            decoding=Decoding.EXACT,
            photo_size=setup.photo_size,
            repository=self._repository,
            batches=_BATCHES if Scenario.OFFLINE in setup.scenarios else (),
            seconds=self.raw.setup.limit_seconds,
            on_step=self._on_step,
        ) as ready:
            starts = list(
                deployments(
                    self._contenders,
                    setup.workloads,
                    Decoding.EXACT,
                    self._on_step,
                    self._not_built,
                )
            )
            self._set(contenders=tuple(described(starts)))
            self._set(bounds=tuple(self._bounds()))
            for scenario in setup.scenarios:
                for round_ in range(setup.rounds):
                    for contender, deployment in rotated(starts, round_, setup.rounds):
                        self._session(ready, scenario, round_, contender, deployment)
                self._set(bounds=tuple(self._bounds()))

    def _not_built(self, contender: Contender, reason: str) -> None:
        """Its environment cannot be built, so it is measured in nothing."""
        for workload in self.raw.setup.workloads:
            self._failed(self.raw.setup.scenarios[0], 0, contender, workload, reason)

    def _bounds(self) -> Iterator[Bound]:
        """Of the workloads of which it is known; once a rate was tried by one, it stays."""
        tried = {each.workload for each in self.raw.points}
        yield from (each for each in self.raw.bounds if each.workload in tried)
        for name in self.raw.setup.workloads:
            given = self.raw.setup.bound_ms
            if name in tried:
                continue
            if given is not None:
                yield Bound(workload=name, milliseconds=given, contender=None)
            elif found := figures.bound(self.raw.singles, name):
                yield found

    def _session(
        self,
        ready: Prepared,
        scenario: Scenario,
        round_: int,
        contender: Contender,
        deployment: Deployment,
    ) -> None:
        """One contender in one scenario and round, as far as that was not measured before.

        One that answers otherwise than the others is not timed; a run takes hours, so they are.
        """
        done = {
            (each.scenario, each.round, each.contender, each.workload) for each in self.raw.sessions
        }
        left = [
            name
            for name in deployment.workloads
            if (scenario, round_, contender.name, name) not in done
        ]
        if not left:
            return
        self._on_step(f"{scenario}, round {round_ + 1}: {contender.name}, {'/'.join(left)}")
        failed = partial(self._failed, scenario, round_, contender)
        deployment = replace(deployment, launch=partial(_as_shipped, deployment.launch))
        try:
            with RunningContender(ready.context, contender, deployment) as session:
                session.start()
                while left:
                    measured = Measurement(
                        session, contender.name, left[0], round_, self._sizes(left[0])
                    )
                    try:
                        apart = session.compare(left[0])
                        self._measure(ready, scenario, measured)
                    except (ContenderError, LabError) as error:
                        failed(left[0], str(error))
                    else:
                        self._keep(scenario, measured, apart)
                    # The service's other workloads may be measured all the same.
                    left.pop(0)
        except (ContenderError, LabError) as error:
            for name in left:
                failed(name, str(error))

    def _keep(self, scenario: Scenario, measured: Measurement, apart: float) -> None:
        for kind, name in _KEPT_IN.items():
            more = tuple(fact for fact in measured.facts if isinstance(fact, kind))
            self._set(**{name: (*getattr(self.raw, name), *more)})
        self._ended(
            Session(
                scenario=scenario,
                round=measured.round,
                contender=measured.contender,
                workload=measured.workload,
                apart=apart,
            )
        )

    def _measure(self, ready: Prepared, scenario: Scenario, measurement: Measurement) -> None:
        """One scenario.

        Raises:
            ContenderError: it cannot be measured.
        """
        workload = measurement.workload
        match scenario:
            case Scenario.SINGLE_STREAM:
                measurement.single()
            case Scenario.OFFLINE:
                measured = measure_of(workload, self.raw.setup.workloads)
                limit = ready.limits[measured]
                seconds = self.raw.setup.limit_seconds * WORKLOADS[measured].longer * LIMIT_SHARE
                measurement.offline(lambda: limit.beside(measurement.round, seconds))
            case Scenario.SERVER:
                measurement.server(self._bound(workload))
            case Scenario.CURVE:
                measurement.curve(self._rates(workload), self._bound(workload))
            case Scenario.OVERLOAD:
                own = figures.server_rate(self.raw, workload, measurement.contender)
                if own is None or not own.median:
                    raise ContenderError("it kept the bound at no rate: there is none to exceed")
                measurement.overload(own.median, self._bound(workload))

    def _sizes(self, workload: str) -> Sizes:
        setup = self.raw.setup
        return Sizes(setup.requests[workload], setup.photos, setup.single_seconds)

    def _bound(self, workload: str) -> float:
        """In seconds."""
        found = [each for each in self.raw.bounds if each.workload == workload]
        if not found:
            raise ContenderError(f"{workload}: nobody answered one caller, so there is no bound")
        return found[0].milliseconds / 1000

    def _rates(self, workload: str) -> tuple[float, ...]:
        """Of the curve; the same for all, though a later try may have found another Server rate."""
        if self.raw.setup.rates:
            return self.raw.setup.rates
        curve = [each for each in self.raw.points if each.scenario is Scenario.CURVE]
        if tried := {each.rate for each in curve if each.workload == workload}:
            return tuple(sorted(tried))
        best = figures.reference(self.raw, workload)
        if best is None:
            raise ContenderError(f"{workload}: nobody kept the bound, so there are no rates")
        return tuple(share * best[1] for share in SHARES)

    def _failed(
        self, scenario: Scenario, round_: int, contender: Contender, workload: str, reason: str
    ) -> None:
        self._on_step(f"{contender.name}, {workload} failed: {reason}")
        self._ended(
            Session(
                scenario=scenario,
                round=round_,
                contender=contender.name,
                workload=workload,
                failed=reason,
            )
        )

    def _ended(self, session: Session) -> None:
        self._set(sessions=(*self.raw.sessions, session))
        self._on_progress(self.raw)

    def _set(self, **changed: object) -> None:
        self.raw = self.raw.model_copy(update=changed)


def _as_shipped(launch: Callable[[Place], Launch], place: Place) -> Launch:
    """A launch that keeps the time which pipelines promise; closed loops have a longer one."""
    made = launch(place)
    return replace(made, environment={**made.environment, "GATEWAY_RESPOND_WITHIN_MS": ""})
