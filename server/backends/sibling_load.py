"""Tells whether other backend processes of the same Triton are computing now."""

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil

_SCAN_SECONDS = 5.0
"""Between two searches for new processes."""
_WINDOW_SECONDS = 0.25
"""Over which the load of each process is measured."""
_BUSY = 0.75
"""Of a core. Below that a process has pauses between requests: with a single caller, each
process waits for half of the time."""
_TICKS = os.sysconf("SC_CLK_TCK")


class _Usage(NamedTuple):
    """The state of a process's main thread, as Linux reports it."""

    running: bool
    """On a core, or waiting for one."""
    seconds: float
    """Of CPU time since it started."""


_ENDED = _Usage(running=False, seconds=0.0)


class SiblingLoad:
    """Watches the other children of the parent process."""

    def __init__(self) -> None:
        self._parent = os.getppid()
        self._siblings: list[int] = []
        self._scanned = self._since = float("-inf")
        self._seconds: dict[int, float] = {}
        self._busy = False

    def idle(self) -> bool:
        """Whether no sibling computes now, and none was busy during the last window."""
        now = time.monotonic()
        if now - self._scanned > _SCAN_SECONDS:
            self._scan(now)
        usage = {pid: self._usage(pid) for pid in self._siblings}
        if now - self._since > _WINDOW_SECONDS:
            spent = (each.seconds - self._seconds.get(pid, 0.0) for pid, each in usage.items())
            self._busy = max(spent, default=0) > _BUSY * (now - self._since)
            self._since = now
            self._seconds = {pid: each.seconds for pid, each in usage.items()}
        return not self._busy and not any(each.running for each in usage.values())

    def _scan(self, now: float) -> None:
        self._scanned = now
        with suppress(psutil.Error):
            children = psutil.Process(self._parent).children()
            self._siblings = [child.pid for child in children if child.pid != os.getpid()]

    def _usage(self, pid: int) -> _Usage:
        try:
            # After the name, which may hold anything: from the state on (proc_pid_stat(5)).
            stat = Path(f"/proc/{pid}/task/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        except OSError:
            return _ENDED
        state, parent, user, system = stat[0], stat[1], stat[11], stat[12]
        if int(parent) != self._parent:
            # Linux has given the number of an ended sibling to another process.
            return _ENDED
        return _Usage(state == b"R", (int(user) + int(system)) / _TICKS)
