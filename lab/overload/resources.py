"""What the service's processes take: memory, processor time."""

import asyncio
import os
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

GENERATOR = "generator"
_MIB = 1024 * 1024
_INTERVAL_SECONDS = 2.0
_PROGRAMS = {"tritonserver": "tritonserver", "triton_python_backend_stub": "stubs"}


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
    """Looks every two seconds at what descends from the launcher, and at this process."""

    def __init__(self, launcher: int) -> None:
        self._launcher = psutil.Process(launcher)
        self.samples: list[Sample] = []

    async def watch(self) -> None:
        """Looks until it is cancelled."""
        while True:
            self.samples.append(self.look())
            await asyncio.sleep(_INTERVAL_SECONDS)

    def look(self) -> Sample:
        """Takes a sample now."""
        mib: defaultdict[str, float] = defaultdict(float)
        cpu: defaultdict[str, float] = defaultdict(float)
        for part, process in self._processes():
            try:
                times, memory = process.cpu_times(), process.memory_full_info()
            except psutil.NoSuchProcess:
                continue
            cpu[part] += times.user + times.system
            mib[part] += memory.pss / _MIB
        own = os.times()
        cpu[GENERATOR] = own.user + own.system
        return Sample(time.perf_counter(), dict(mib), dict(cpu))

    def _processes(self) -> Iterable[tuple[str, psutil.Process]]:
        for process in self._launcher.children(recursive=True):
            try:
                words = process.cmdline()
            except psutil.NoSuchProcess:
                continue
            program = Path(words[0]).name if words else ""
            if part := "gateway" if "gateway" in words else _PROGRAMS.get(program):
                yield part, process


def cores(samples: list[Sample]) -> dict[str, float]:
    """Mean number of cores that each part kept busy between the first and the last sample."""
    if len(samples) < 2:  # noqa: PLR2004 - a span has two ends
        return {}
    first, last = samples[0], samples[-1]
    return {
        part: (seconds - first.cpu_seconds.get(part, 0.0)) / (last.at - first.at)
        for part, seconds in last.cpu_seconds.items()
    }
