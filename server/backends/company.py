"""Whether other backend processes of the same Triton compute at the moment."""

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil

_LOOKED_FOR_EVERY = 5.0
"""Seconds between two looks for new processes."""
_WINDOW = 0.25
"""Seconds over which is seen how much of a core each process used."""
_BUSY = 0.75
"""Of a core. More, and a process only waits for its next work: a caller who asks alone leaves each
process at rest for half of the time."""
_TICKS = os.sysconf("SC_CLK_TCK")


class _Seen(NamedTuple):
    """A process's main thread, by what Linux says of it."""

    computes: bool
    """Runs, or waits for a core."""
    seconds: float
    """That it has computed since it started."""


_GONE = _Seen(computes=False, seconds=0.0)


class Company:
    """The other children of the parent process."""

    def __init__(self) -> None:
        self._parent = os.getppid()
        self._others: list[int] = []
        self._looked = self._since = float("-inf")
        self._seconds: dict[int, float] = {}
        self._busy = False

    def rests(self) -> bool:
        """Whether none of them computes, or did for most of the last moments."""
        now = time.monotonic()
        if now - self._looked > _LOOKED_FOR_EVERY:
            self._look(now)
        seen = {pid: self._see(pid) for pid in self._others}
        if now - self._since > _WINDOW:
            most = max((seen[pid].seconds - self._seconds.get(pid, 0.0) for pid in seen), default=0)
            self._busy = most > _BUSY * (now - self._since)
            self._since = now
            self._seconds = {pid: each.seconds for pid, each in seen.items()}
        return not self._busy and not any(each.computes for each in seen.values())

    def _look(self, now: float) -> None:
        self._looked = now
        with suppress(psutil.Error):
            children = psutil.Process(self._parent).children()
            self._others = [child.pid for child in children if child.pid != os.getpid()]

    def _see(self, pid: int) -> _Seen:
        try:
            # After the name, which may hold anything: from the state on (proc_pid_stat(5)).
            stat = Path(f"/proc/{pid}/task/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        except OSError:
            return _GONE
        state, parent, user, system = stat[0], stat[1], stat[11], stat[12]
        if int(parent) != self._parent:
            # Linux gave the number of one that ended to another.
            return _GONE
        return _Seen(state == b"R", (int(user) + int(system)) / _TICKS)
