"""The raw data of `make scale`, as stored in docs/scale/."""

from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from lab.machine import Machine
from pipelines import atomic_write


class _Raw(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Curve(StrEnum):
    """What grows."""

    SIZE = "size"  # megapixels of a photo
    BATCH = "batch"  # photos of one request to predict/batch
    CONCURRENCY = "concurrency"  # callers at a time
    LIGHT = "light"  # callers at a time who ask for the lightest member alone
    PIPELINES = "pipelines"  # loaded; only the first is asked
    TOGETHER = "together"  # loaded, and all asked in turn


class Point(_Raw):
    """One point of a curve."""

    curve: Curve
    x: float
    setting: str = ""
    """What was set otherwise than it is by default, to find the reason of a cliff."""
    callers: int
    images_each: int
    """Photos of a request."""
    bytes_each: int
    """Of a request's body, on average."""
    requests: int
    """Answered."""
    refused: int
    errors: dict[str, int]
    seconds: float
    p50_ms: float | None
    p99_ms: float | None
    cpu_seconds: dict[str, float]
    """Of the service by role."""
    generator_cpu_seconds: float
    pss_mib: dict[str, float]
    """By role, at the largest sum while it was asked."""

    @property
    def images(self) -> int:
        """Answered."""
        return self.requests * self.images_each

    @property
    def rate(self) -> float:
        """Images a second."""
        return self.images / self.seconds

    @property
    def memory(self) -> float:
        """MiB of all processes."""
        return sum(self.pss_mib.values())

    def cpu_ms(self, *roles: str) -> float:
        """CPU milliseconds an image, of some roles; of all where none is named."""
        named = roles or tuple(self.cpu_seconds)
        return 1000 * sum(self.cpu_seconds.get(name, 0.0) for name in named) / max(self.images, 1)


class Served(_Raw):
    """A pipeline of the last curve."""

    name: str
    weights: str
    """Of the demo, trained, or random."""
    artefact_bytes: int
    members: tuple[str, ...]


class Started(_Raw):
    """A service with a number of pipelines, before anyone asks."""

    pipelines: int
    seconds: float
    """From the start of the process until all answer."""
    pss_mib: dict[str, float]


class Scale(_Raw):
    """A whole run."""

    command: str
    started: str
    """UTC, ISO 8601."""
    minutes: float
    seconds: float
    """Of each point."""
    machine: Machine
    load_average_after: float
    served: tuple[Served, ...]
    photo_bytes: int
    """Of a photo of 640 x 480, on average."""
    lightest: str
    """The member with the least CPU time an image."""
    series: dict[str, int]
    """Prometheus series of each process that has metrics, after the first curve, by its role."""
    starts: tuple[Started, ...]
    points: tuple[Point, ...]

    def of(self, curve: Curve, setting: str = "", callers: int | None = None) -> list[Point]:
        """The points of a curve, in its order."""
        found = [
            point
            for point in self.points
            if (point.curve, point.setting) == (curve, setting) and callers in {None, point.callers}
        ]
        return sorted(found, key=lambda point: point.x)

    @classmethod
    def read(cls, path: Path) -> "Scale":
        """From a file that `write` wrote."""
        return cls.model_validate_json(path.read_bytes())

    def write(self, path: Path) -> None:
        """As JSON."""
        atomic_write.write_text(path, self.model_dump_json(indent=1) + "\n")
