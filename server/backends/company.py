"""Whether other backend processes of the same Triton compute at the moment."""

import os
import time
from contextlib import suppress
from pathlib import Path

import psutil

_LOOKED_FOR_EVERY = 5.0
"""Seconds between two looks for new processes."""


class Company:
    """The other children of the parent process, by what Linux says of their main threads."""

    def __init__(self) -> None:
        self._parent = os.getppid()
        self._states: list[Path] = []
        self._looked = float("-inf")

    def rests(self) -> bool:
        """Whether none of them runs or waits for a core."""
        if time.monotonic() - self._looked > _LOOKED_FOR_EVERY:
            self._look()
        return not any(self._computes(state) for state in self._states)

    def _look(self) -> None:
        self._looked = time.monotonic()
        with suppress(psutil.Error):
            children = psutil.Process(self._parent).children()
            others = [child.pid for child in children if child.pid != os.getpid()]
            self._states = [Path(f"/proc/{pid}/stat") for pid in others]

    def _computes(self, state: Path) -> bool:
        try:
            # After the name, which may hold anything: state and parent (proc_pid_stat(5)).
            fields = state.read_bytes().rpartition(b")")[2].split(None, 2)
        except OSError:
            return False
        return fields[0] == b"R" and int(fields[1]) == self._parent
