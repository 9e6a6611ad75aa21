"""What the service takes of memory under load, and whether a candidate that is gone leaves any.

Pages of files are left out: they belong to the page cache, and a process's share of them falls and
rises with whatever else on the machine has the same libraries open.
"""

import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from lab.releases.proof.canaries import CURRENT, GOOD, photo
from lab.releases.proof.load import Load
from lab.releases.proof.service import Running
from lab.service.service import GATEWAY, LAUNCHER, TRITON

ALLOWED = 0.05
"""How much more there may be after a candidate than before it."""
CANDIDATES = 10
_ANSWERING = 5.0
"""Seconds in which the candidate answers."""
_SAMPLES, _PAUSE = 5, 2.0
_ROLES = {GATEWAY: "gateways", TRITON: "Triton", LAUNCHER: "launcher"}
_MODELS = "models' processes"

Memory = dict[str, float]
"""MiB of the gateways, Triton, the launcher, and the models' processes."""


@dataclass
class Repeated:
    """Memory while one candidate after the other is staged and retired."""

    failures: list[str] = field(default_factory=list)
    requests: list[int] = field(default_factory=list)
    """So many were answered until each look."""
    looks: list[Memory] = field(default_factory=list)
    """Before the first candidate, and after each."""

    @property
    def passed(self) -> bool:
        """Whether nothing failed, and no look has more than is allowed."""
        return not self.failures and all(stayed(self.looks[0], look) for look in self.looks)


def stayed(before: Memory, after: Memory) -> bool:
    """Whether memory is as it was, but for what is allowed."""
    return sum(after.values()) <= sum(before.values()) * (1 + ALLOWED)


def warm_up(load: Load) -> None:
    """Asks about every subject once: what grows with use has grown then, candidate or not."""
    load.round()


def look(service: Running) -> Memory:
    """Memory once only the current release has processes: the median of some seconds.

    Raises:
        LabError: another release's processes do not end.
    """
    service.until(lambda: not any(_of_another(role) for role, _ in service.server.pids()))
    samples = []
    for _ in range(_SAMPLES):
        time.sleep(_PAUSE)
        samples.append(_memory(service))
    return {name: statistics.median(each[name] for each in samples) for name in samples[0]}


def run(service: Running, subjects: int, on_step: Callable[[str], None]) -> Repeated:
    """Stages and retires candidates under load, and looks at memory after each.

    Raises:
        LabError: a command fails, or a candidate's processes do not end.
    """
    found, ids = Repeated(), service.world.ids
    with Load(service.doors, photo(), subjects) as load:
        on_step("warming up")
        warm_up(load)
        for number in range(CANDIDATES + 1):
            if number:
                on_step(f"candidate {number}")
                service.must("stage", ids[GOOD])
                service.must("split", "50")
                time.sleep(_ANSWERING)
                service.must("retire", ids[GOOD])
                service.until(lambda: service.loaded() == [ids[CURRENT]])
            found.looks.append(look(service))
            found.requests.append(len(load.answers))
    found.failures = [each.reason for each in load.failures]
    return found


def _of_another(role: str) -> bool:
    """Whether a process is of a release that is loaded beside the first one."""
    return "--" in role


def _memory(service: Running) -> Memory:
    apart = [process.pid for gateway in service.alone for process in gateway.tree.processes()]
    found: defaultdict[str, float] = defaultdict(float)
    for role, pid in [*((GATEWAY, pid) for pid in apart), *service.server.pids()]:
        found[_ROLES.get(role, _MODELS)] += _own(pid)
    return dict(found)


def _own(pid: int) -> float:
    """MiB of a process that no file has: its heap, and its part of shared memory."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text("utf-8").splitlines()
    except OSError:
        # It has ended.
        return 0.0
    sizes = dict(line.split(":") for line in lines[1:])
    return sum(int(sizes[name].split()[0]) for name in ("Pss_Anon", "Pss_Shmem")) / 1024
