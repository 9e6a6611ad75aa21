"""Computes the size of a cluster from measured costs per photo.

Everything follows from the CPU time that each process takes for one photo, measured where the
service is busy: a core gives 1000 ms a second, and no more than `HEADROOM` of them are planned for.
"""

import math
from dataclasses import dataclass

from lab.scale.raw import Curve, Point, Scale
from lab.service.service import DECISION, DECODE, GATEWAY, LAUNCHER, STEPS, TRITON

HEADROOM = 0.7
"""Share of the cores that is planned for: beyond it queues grow."""
GPUS = (1, 8, 64, 250, 1000)
RATES = (500, 1000, 2000, 5000, 10_000)
"""Images a second of one GPU: what it needs beside it is computed for each."""
SCRAPE_SECONDS = 15
_BITS, _GIGA, _MEBI = 8, 1e9, 2**20


@dataclass(frozen=True)
class Costs:
    """CPU milliseconds for one photo, and its bytes."""

    gateway: float
    triton: float
    decode: float
    decision: float
    members: float
    photo_bytes: int
    """A photo's request, as it comes over the network."""

    @classmethod
    def of(cls, scale: Scale) -> "Costs":
        """From a run: the members' from all callers that were let in, the rest from the busiest.

        Where the lightest member alone is asked, the other processes are as busy as this machine
        makes them.
        """
        light, all_members = scale.of(Curve.LIGHT)[-1], busiest(scale)
        members = set(all_members.cpu_seconds) - {*STEPS, LAUNCHER}
        return cls(
            gateway=light.cpu_ms(GATEWAY),
            triton=light.cpu_ms(TRITON),
            decode=light.cpu_ms(DECODE),
            decision=light.cpu_ms(DECISION),
            members=all_members.cpu_ms(*members),
            photo_bytes=light.bytes_each,
        )

    @property
    def beside(self) -> float:
        """All but the members: what stays on CPUs where the members are on a GPU."""
        return self.gateway + self.triton + self.decode + self.decision


def busiest(scale: Scale) -> Point:
    """The point of the curve of callers with the most that were all answered."""
    points = [p for p in scale.of(Curve.CONCURRENCY) if p.requests and not p.refused]
    return max(points, key=lambda point: point.x)


def cores(milliseconds: float, rate: float) -> float:
    """Cores for a step of so many CPU milliseconds an image at so many images a second."""
    return rate * milliseconds / 1000 / HEADROOM


@dataclass(frozen=True)
class Beside:
    """What one GPU of a rate needs beside it, in cores."""

    rate: float
    gateway: float
    triton: float
    decode: float
    decision: float
    gigabits: float
    """A second, of photos coming in."""

    @property
    def all(self) -> float:
        """All cores."""
        return self.gateway + self.triton + self.decode + self.decision


def beside(costs: Costs, rate: float) -> Beside:
    """For a GPU of `rate` images a second."""
    return Beside(
        rate=rate,
        gateway=cores(costs.gateway, rate),
        triton=cores(costs.triton, rate),
        decode=cores(costs.decode, rate),
        decision=cores(costs.decision, rate),
        gigabits=rate * costs.photo_bytes * _BITS / _GIGA,
    )


@dataclass(frozen=True)
class Step:
    """A cluster of so many GPUs."""

    gpus: int
    rate: float
    cores: float
    gateways: int
    """Processes: each runs on one core."""
    gigabits: float
    series: int
    """Prometheus series, of one Triton and its launcher a GPU, and all gateways."""
    samples: float
    """Taken a second."""
    rollout_gib: float
    """Read from the model store when all nodes take a release anew."""


def step(costs: Costs, scale: Scale, gpus: int, rate: float) -> Step:
    """A cluster whose GPUs make `rate` images a second each."""
    total = gpus * rate
    gateways = math.ceil(cores(costs.gateway, total))
    series = gpus * (scale.series[TRITON] + scale.series[LAUNCHER])
    series += gateways * scale.series[GATEWAY]
    artefacts = scale.served[0].artefact_bytes
    return Step(
        gpus=gpus,
        rate=total,
        cores=cores(costs.beside, total),
        gateways=gateways,
        gigabits=total * costs.photo_bytes * _BITS / _GIGA,
        series=series,
        samples=series / SCRAPE_SECONDS,
        rollout_gib=gpus * artefacts / _MEBI / 1024,
    )
