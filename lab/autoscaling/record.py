"""The raw data of a run, as stored in docs/autoscaling/."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from pipelines import atomic_write


@dataclass(frozen=True)
class Step:
    """Load that stays the same for a while."""

    name: str
    rate: float
    """Requests a second that arrive."""
    seconds: float
    replicas: int
    """That must be there at its end."""


@dataclass(frozen=True)
class Look:
    """One look of the autoscaler; `second` of the run."""

    second: float
    demand: float | None
    queue: float | None
    in_flight: float | None
    wanted: int | None
    """Before all limits."""
    replicas: int
    """Decided from the ScaledObject,"""
    by_hpa: int
    """and from the HorizontalPodAutoscaler."""
    current: int
    """There when it looked,"""
    ready: int
    """and answering."""


@dataclass(frozen=True)
class Moment:
    """Requests that arrived in one second of the run; latencies of the answered, in seconds."""

    second: int
    arrived: int
    answered: int
    refused: int
    failed: int
    median: float | None
    p95: float | None


@dataclass(frozen=True)
class Drained:
    """A replica that went, at a second of the run."""

    second: float
    seconds: float
    in_flight: int


@dataclass(frozen=True)
class Record:
    """All of it."""

    started: str
    machine: str
    factor: int
    delay_ms: int
    target: float
    """Requests in flight for each replica, as shipped."""
    cap: int
    """Requests in flight that the gateway lets in."""
    maximum: int
    shipped_maximum: int
    steps: list[Step]
    looks: list[Look] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)
    drains: list[Drained] = field(default_factory=list)
    starts: list[float] = field(default_factory=list)
    faults: dict[str, int] = field(default_factory=dict)
    """Failures by what the answer said."""
    repeated: int = 0
    """Inferences that failed behind the gateway, which then asked again."""

    def spans(self) -> list[tuple[Step, float, float]]:
        """Each step with its first and last second."""
        found, begin = [], 0.0
        for step in self.steps:
            found.append((step, begin, begin + step.seconds))
            begin += step.seconds
        return found

    def looks_in(self, begin: float, end: float) -> list[Look]:
        """Those between two seconds."""
        return [look for look in self.looks if begin <= look.second < end]

    def moments_in(self, begin: float, end: float) -> list[Moment]:
        """Those between two seconds."""
        return [moment for moment in self.moments if begin <= moment.second < end]

    def write(self, path: Path) -> None:
        """As JSON."""
        atomic_write.write_text(path, json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> Self:
        """What `write` wrote."""
        kept: dict[str, Any] = json.loads(path.read_text("utf-8"))
        lists = {"steps": Step, "looks": Look, "moments": Moment, "drains": Drained}
        for name, kind in lists.items():
            kept[name] = [kind(**each) for each in kept[name]]
        return cls(**kept)


def median(values: Sequence[float]) -> float | None:
    """None of nothing."""
    return round(statistics.median(values), 4) if values else None


def p95(values: Sequence[float]) -> float | None:
    """None of nothing."""
    return sorted(values)[max(0, -(-len(values) * 95 // 100) - 1)] if values else None
