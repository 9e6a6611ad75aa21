"""The raw data of a run, as stored in docs/performance/."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from lab.machine import Machine
from pipelines import atomic_write


class _Raw(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Described(_Raw):
    """A contender as it was set up."""

    name: str
    title: str
    protocol: str
    tuning: str
    versions: dict[str, str]


class Limit(_Raw):
    """One cell of the raw limit."""

    round: int
    """-1: the search for the best batch."""
    workload: str
    processes: int
    threads: int
    """Of each process."""
    batch: int
    images: int
    seconds: float
    """In which all processes do so many, each at its own rate."""
    cpu_seconds: float
    pss_mib: float

    @property
    def rate(self) -> float:
        """Images a second."""
        return self.images / self.seconds

    @property
    def cpu_ms(self) -> float:
        """CPU milliseconds an image."""
        return 1000 * self.cpu_seconds / self.images


class Session(_Raw):
    """A contender, started once."""

    round: int
    """-1: the comparison of answers before anything is timed."""
    contender: str
    workloads: tuple[str, ...]
    cold_start_seconds: float | None = None
    """From the start of the process to the first right answer."""
    apart: float | None = None
    """Largest difference of a probability from the reference."""
    failed: str | None = None


class Cell(_Raw):
    """A contender under one load."""

    round: int
    contender: str
    workload: str
    concurrency: int
    images: int
    """Answered rightly."""
    wrong: int
    """Answered with other probabilities than the reference's."""
    errors: int
    error: str | None
    """The first one's text."""
    seconds: float
    p50_ms: float | None
    p99_ms: float | None
    cpu_seconds: float
    """Of the contender's whole process tree."""
    generator_cpu_seconds: float
    pss_mib: float
    uss_mib: float
    limits: tuple[Limit, Limit]
    """Of the workload that is its measure, just before and just after."""

    @property
    def rate(self) -> float:
        """Images a second."""
        return self.images / self.seconds

    @property
    def cpu_ms(self) -> float | None:
        """CPU milliseconds an image."""
        return 1000 * self.cpu_seconds / self.images if self.images else None


class Raw(_Raw):
    """A whole run."""

    command: str
    started: str
    """UTC, ISO 8601."""
    minutes: float
    decoding: str
    photo_size: tuple[int, int]
    """Width and height of the photos."""
    rounds: int
    seconds: float
    concurrency: tuple[int, ...]
    workloads: tuple[str, ...]
    machine: Machine
    contenders: tuple[Described, ...]
    limits: tuple[Limit, ...]
    sessions: tuple[Session, ...]
    cells: tuple[Cell, ...]

    @classmethod
    def read(cls, path: Path) -> "Raw":
        """From a file that `write` wrote."""
        return cls.model_validate_json(path.read_bytes())

    def write(self, path: Path) -> None:
        """As JSON."""
        atomic_write.write_text(path, self.model_dump_json(indent=1) + "\n")
