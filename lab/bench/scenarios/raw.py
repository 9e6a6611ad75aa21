"""The raw data of a run of the scenarios, as stored in docs/performance/."""

from enum import StrEnum
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict

from lab.bench.raw import Described, Limit
from lab.machine import Machine
from pipelines import atomic_write


class Scenario(StrEnum):
    """What is measured; the first three as MLPerf Inference names them."""

    SINGLE_STREAM = "single"
    OFFLINE = "offline"
    SERVER = "server"
    CURVE = "curve"
    """Latency at shares of the best peer's Server rate."""
    OVERLOAD = "overload"


class _Raw(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Session(_Raw):
    """A contender in one scenario and one workload."""

    scenario: Scenario
    round: int
    contender: str
    workload: str
    apart: float | None = None
    """Largest difference of an answer's numbers from the reference."""
    failed: str | None = None


class Single(_Raw):
    """One caller, who asks again when it is answered."""

    round: int
    contender: str
    workload: str
    requests: int
    """Answered."""
    wrong: int
    errors: int
    error: str | None
    seconds: float
    p50_ms: float
    p90_ms: float
    p99_ms: float


class Offline(_Raw):
    """Photos that are all at hand."""

    round: int
    contender: str
    workload: str
    photos: int
    """Answered rightly."""
    wrong: int
    errors: int
    error: str | None
    callers: int
    """Requests under way at a time."""
    seconds: float
    cpu_seconds: float
    """Of the contender's whole process tree."""
    limits: tuple[Limit, Limit]
    """Just before and just after."""

    @property
    def rate(self) -> float:
        """Photos a second."""
        return self.photos / self.seconds


class Point(_Raw):
    """One rate of arrivals that do not wait for answers.

    Latencies are counted from when a request was due. A point whose generator lagged is kept here
    and is in no figure.
    """

    scenario: Scenario
    round: int
    contender: str
    workload: str
    rate: float
    """Arrivals a second, as asked for."""
    bound_ms: float
    seconds: float
    """For which requests arrived."""
    arrived: int
    within: int
    """Answered rightly, within the bound."""
    answered: int
    """Answered rightly."""
    wrong: int
    refused: int
    failed: int
    unsent: int
    reason: str | None
    """Why the first one without an answer has none."""
    stopped: bool
    """Whether it was given up, as more than a hundredth had missed the bound."""
    p50_ms: float | None
    """Of right answers; so are the next two."""
    p90_ms: float | None
    p99_ms: float | None
    refusal_p50_ms: float | None
    refusal_p99_ms: float | None
    late_p99_ms: float
    """How late the generator itself sent; so is the next one."""
    late_most_ms: float
    lagged: bool
    cpu_seconds: float
    """Of the contender's whole process tree, until the last answer."""
    generator_cpu_seconds: float


class Found(_Raw):
    """The highest rate at which a contender kept the bound; None where it kept it at none."""

    round: int
    contender: str
    workload: str
    rate: float | None


class Bound(_Raw):
    """Within which time answers count, in one workload, for all contenders."""

    workload: str
    milliseconds: float
    contender: str | None
    """Whose unloaded median it is five times of; None: it was given on the command line."""


class Setup(_Raw):
    """What has to be the same for a run to go on where it was stopped."""

    rounds: int
    photo_size: tuple[int, int]
    workloads: tuple[str, ...]
    contenders: tuple[str, ...]
    scenarios: tuple[Scenario, ...]
    requests: dict[str, int]
    """Of a point, and of one caller at least, by workload."""
    photos: int
    """That are all at hand."""
    single_seconds: float
    """That one caller asks at least."""
    limit_seconds: float
    """From which the time of a measurement of the limit follows; of slow workloads more."""
    bound_ms: float | None
    """Within which answers count in all workloads; None: it follows from unloaded medians."""
    rates: tuple[float, ...]
    """Arrivals a second of the curve; none: shares of the best peer's Server rate."""


class Raw(_Raw):
    """A whole run, or what there is of it so far."""

    command: str
    started: str
    """UTC, ISO 8601."""
    minutes: float
    setup: Setup
    machine: Machine
    contenders: tuple[Described, ...]
    peers: tuple[str, ...]
    """Names of the contenders that are other servers."""
    sessions: tuple[Session, ...] = ()
    bounds: tuple[Bound, ...] = ()
    singles: tuple[Single, ...] = ()
    offlines: tuple[Offline, ...] = ()
    points: tuple[Point, ...] = ()
    found: tuple[Found, ...] = ()

    @classmethod
    def read(cls, path: Path) -> Self:
        """From a file that `write` wrote."""
        return cls.model_validate_json(path.read_bytes())

    def write(self, path: Path) -> None:
        """As JSON."""
        atomic_write.write_text(path, self.model_dump_json(indent=1) + "\n")
