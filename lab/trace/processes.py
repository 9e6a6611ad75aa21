"""Counts what the processes of a service do: CPU time, and how often their threads wake up."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from lab.service.service import Service

_WOKEN = "voluntary_ctxt_switches:"
_SHOWN = 0.5
"""Wakes a request, from which on a thread's name is shown."""


@dataclass(frozen=True)
class Work:
    """Of one role, for each request."""

    cpu_ms: float
    wakes: dict[str, float]
    """Times that a thread had waited for something and went on, by the threads' name."""

    @property
    def by_name(self) -> str:
        """The names of threads that wake often, the most often first."""
        found = sorted(self.wakes.items(), key=lambda item: -item[1])
        return ", ".join(f"{name} {wakes:.1f}" for name, wakes in found if wakes >= _SHOWN)


class ProcessCounter:
    """Counts from when it was made on."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._cpu, self._wakes = service.cpu_seconds(), wakes(service)

    def work(self, requests: int) -> dict[str, Work]:
        """By role, for each of so many requests."""
        cpu, woken = self._service.cpu_seconds(), wakes(self._service)
        woken.subtract(self._wakes)
        return {
            role: Work(
                1000 * (cpu[role] - self._cpu.get(role, 0.0)) / requests,
                {name: count / requests for (of, name), count in woken.items() if of == role},
            )
            for role in sorted(cpu)
        }


def wakes(service: Service) -> Counter[tuple[str, str]]:
    """How often threads waited and went on, by role and name; those that ended do not count."""
    total: Counter[tuple[str, str]] = Counter()
    for role, pid in service.pids():
        for task in Path(f"/proc/{pid}/task").glob("*"):
            try:
                name = (task / "comm").read_text("utf-8").strip()
                lines = (task / "status").read_text("utf-8").splitlines()
            except OSError:  # the thread has ended
                continue
            total[role, name] += sum(
                int(line.split()[1]) for line in lines if line.startswith(_WOKEN)
            )
    return total
