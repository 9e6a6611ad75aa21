"""Counts what the processes of a service do: CPU time, and how often their threads wake up."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from lab.service.service import Service

_WOKEN = "voluntary_ctxt_switches:"


@dataclass(frozen=True)
class Work:
    """Of one role, for each request."""

    cpu_ms: float
    wakes: float
    """Times that a thread had waited for something and went on."""


class ProcessCounter:
    """Counts from when it was made on."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._cpu, self._wakes = service.cpu_seconds(), wakes(service)

    def work(self, requests: int) -> dict[str, Work]:
        """By role, for each of so many requests."""
        cpu, woken = self._service.cpu_seconds(), wakes(self._service)
        return {
            role: Work(
                1000 * (cpu[role] - self._cpu.get(role, 0.0)) / requests,
                (woken[role] - self._wakes.get(role, 0)) / requests,
            )
            for role in sorted(cpu)
        }


def wakes(service: Service) -> dict[str, int]:
    """How often threads waited and went on, by role; those that ended do not count."""
    total: defaultdict[str, int] = defaultdict(int)
    for role, pid in service.pids():
        total[role] += sum(_wakes(task) for task in Path(f"/proc/{pid}/task").glob("*/status"))
    return dict(total)


def _wakes(status: Path) -> int:
    try:
        lines = status.read_text("utf-8").splitlines()
    except OSError:  # the thread has ended
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith(_WOKEN))
