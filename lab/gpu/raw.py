"""The raw data of a run on a GPU, as stored in docs/performance/gpu.json."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from pipelines import atomic_write


class _Raw(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Point(_Raw):
    """A member at one batch."""

    batch: int
    images_per_second: float
    limit: float
    """That the roofline allows."""
    bound: str
    """What limits: `arithmetic` or `memory`."""


class MemberResult(_Raw):
    """A member at all batches that fit."""

    name: str
    architecture: str
    gigaflops: float
    """Of one image."""
    points: tuple[Point, ...]

    @property
    def best(self) -> Point:
        """At the batch that gives most."""
        return max(self.points, key=lambda point: point.images_per_second)


class Ensemble(_Raw):
    """The whole service under one load."""

    callers: int
    images_per_second: float
    p50_ms: float | None
    p99_ms: float | None
    cpu_ms: dict[str, float]
    """CPU milliseconds an image, by the role of the process."""


class GpuRun(_Raw):
    """A whole run."""

    command: str
    started: str
    """UTC, ISO 8601."""
    device: str
    torch: str
    dtype: str
    graphs: bool
    teraflops: float
    """Measured, of a large matrix product."""
    gigabytes_per_second: float
    """Measured, of a large copy."""
    pipeline: str
    members: tuple[MemberResult, ...]
    ensemble_images_per_second: float
    """Of one device that runs all members in turn, each at its best batch: a bound, without
    serving."""
    decoded_per_core_second: float
    decode_cores: int
    """That keep up with `ensemble_images_per_second`."""
    ensemble: tuple[Ensemble, ...]
    """Through Triton; empty where it did not run."""
    ensemble_missing: str | None
    """Why it did not run."""

    def write(self, path: Path) -> None:
        """As JSON."""
        atomic_write.write_text(path, self.model_dump_json(indent=1) + "\n")
