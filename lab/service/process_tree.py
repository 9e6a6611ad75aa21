"""Starts, measures and stops a process with all its descendants, daemons included."""

import contextlib
import os
import subprocess
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

_MARK = "LAB_PROCESS_TREE"
_STOP_SECONDS, _MOMENT = 90.0, 3.0
_EXEC = 0.2
"""Seconds after which a new process has its own environment."""
_LAST_LINES = 12
_LONGEST = 200
_MIB = 1024 * 1024


@dataclass(frozen=True)
class Memory:
    """Of all processes of a tree, in MiB."""

    pss: float
    """Shared pages divided among those that share them: what the tree takes of the machine."""
    uss: float
    """Pages that no other process has."""


class ProcessTree:
    """A process and all that came of it, known by a mark in their environment.

    Parentage alone would lose daemons; the mark alone would lose processes that overwrite their
    environment with a title; so who was once found is remembered.
    """

    def __init__(
        self,
        argv: Sequence[str | Path],
        *,
        environment: Mapping[str, str],
        folder: Path,
        log: Path,
        pipes: bool = False,
    ) -> None:
        """Starts it in a session of its own, so that Ctrl-C does not reach it.

        Args:
            argv: the command.
            environment: added to this process's own.
            folder: where it runs.
            log: takes what it prints; with `pipes` what it prints to stderr.
            pipes: whether stdin and stdout are pipes.
        """
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        self._mark = uuid.uuid4().hex
        self._found: set[psutil.Process] = set()
        pipe = subprocess.PIPE if pipes else None
        try:
            with log.open("wb") as output:
                self.process = subprocess.Popen(
                    [str(word) for word in argv],
                    cwd=folder,
                    env={**os.environ, **environment, _MARK: self._mark},
                    stdin=pipe or subprocess.DEVNULL,
                    stdout=pipe or output,
                    stderr=output,
                    text=True,
                    start_new_session=True,
                )
        except BaseException:
            # Ctrl-C while it starts: nobody has it yet who would end it.
            time.sleep(_EXEC)
            for process in self.processes():
                with contextlib.suppress(psutil.Error):
                    process.kill()
            raise

    @property
    def ended(self) -> bool:
        """Whether the process that was started is gone."""
        return self.process.poll() is not None

    def log_tail(self) -> str:
        """The end of its log."""
        lines = self.log.read_text("utf-8", "replace").splitlines()[-_LAST_LINES:]
        return "\n".join(line[:_LONGEST] for line in lines)

    def cpu_seconds(self) -> float:
        """User and system time of all its processes, of those that ended too."""
        total = 0.0
        for process in self.processes():
            try:
                times = process.cpu_times()
            except psutil.Error:
                continue
            total += times.user + times.system + times.children_user + times.children_system
        return total

    def memory(self) -> Memory:
        """Right now."""
        pss = uss = 0
        for process in self.processes():
            try:
                info = process.memory_full_info()
            except psutil.Error:
                continue
            pss, uss = pss + info.pss, uss + info.uss
        return Memory(pss / _MIB, uss / _MIB)

    def stop(self) -> None:
        """Asks it to end, and ends what is left of it after a while."""
        self.processes()
        if not self.ended:
            self.process.terminate()
        until = time.monotonic() + _STOP_SECONDS
        while not self.ended and time.monotonic() < until:
            time.sleep(0.1)
        self.process.kill()
        self.process.wait()
        # What the first process left behind is nobody's any more: it has a moment to follow.
        _, left = psutil.wait_procs(self.processes(), timeout=_MOMENT)
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(left, timeout=_MOMENT)
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()

    def processes(self) -> list[psutil.Process]:
        """Those that run now."""
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get(_MARK) == self._mark:
                    self._found.add(process)
        for process in list(self._found):
            with contextlib.suppress(psutil.Error):
                self._found.update(process.children(recursive=True))
        self._found = {process for process in self._found if process.is_running()}
        return list(self._found)
