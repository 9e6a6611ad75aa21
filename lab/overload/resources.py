"""Measures memory and CPU time of the service's processes during a run."""

import asyncio
import os
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from lab.service.service import GATEWAY, LAUNCHER, TRITON, Service

GENERATOR = "generator"
_BACKENDS = "stubs"
_INTERVAL_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at all processes; memory is their proportional share (PSS)."""

    at: float
    mib: dict[str, float]
    cpu_seconds: dict[str, float]

    @property
    def total_mib(self) -> float:
        """Of gateway, tritonserver and stubs together."""
        return sum(self.mib.values())

    @property
    def busy(self) -> float:
        """Processor seconds of the service so far."""
        return sum(seconds for part, seconds in self.cpu_seconds.items() if part != GENERATOR)


class Resources:
    """Looks every two seconds at a service's processes, and at this one."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.samples: list[Sample] = []

    async def watch(self) -> None:
        """Looks until it is cancelled."""
        while True:
            self.samples.append(self.look())
            await asyncio.sleep(_INTERVAL_SECONDS)

    def look(self) -> Sample:
        """Takes a sample now."""
        own = os.times()
        cpu = _by_part(self._service.cpu_seconds()) | {GENERATOR: own.user + own.system}
        return Sample(time.perf_counter(), _by_part(self._service.pss_mib()), cpu)


def _by_part(by_role: Mapping[str, float]) -> dict[str, float]:
    """Sums of gateway, tritonserver, and all backend processes together."""
    parts: defaultdict[str, float] = defaultdict(float)
    for role, value in by_role.items():
        if role != LAUNCHER:
            parts[role if role in {GATEWAY, TRITON} else _BACKENDS] += value
    return dict(parts)


def cores(samples: list[Sample]) -> dict[str, float]:
    """Mean number of cores that each part kept busy between the first and the last sample."""
    if len(samples) < 2:  # noqa: PLR2004 - a span has two ends
        return {}
    first, last = samples[0], samples[-1]
    return {
        part: (seconds - first.cpu_seconds.get(part, 0.0)) / (last.at - first.at)
        for part, seconds in last.cpu_seconds.items()
    }
