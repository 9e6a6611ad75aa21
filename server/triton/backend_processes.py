"""The processes of Python-based backends, which tritonserver starts as its children.

Triton calls them stubs.
"""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from server.triton.installation import STUB

# Their places on a process's command line.
_MODEL_FILE_ARGUMENT = 1
_REGION_ARGUMENT = 2
_INSTANCE_ARGUMENT = 8


@dataclass(frozen=True)
class BackendProcess:
    """One process of a Python-based backend."""

    pid: int
    model: str
    instance: str
    """Name of the model instance, by which Triton speaks of it in its errors."""
    region: str
    """Name of the region of shared memory that it has with tritonserver."""
    frozen: bool
    """Stopped by a signal."""
    on_disk: bool
    """Waits for a disk, or a volume of the network, and cannot be ended before that answers."""


def living(triton_pid: int) -> dict[int, BackendProcess]:
    """The live backend processes of a tritonserver by process id."""
    found = {}
    for child in _children(triton_pid):
        try:
            words, status = child.cmdline(), child.status()
        except psutil.Error:
            continue
        if words and words[0].endswith(STUB) and status != psutil.STATUS_ZOMBIE:
            model = Path(words[_MODEL_FILE_ARGUMENT]).parent.parent.name
            found[child.pid] = BackendProcess(
                child.pid,
                model,
                instance=words[_INSTANCE_ARGUMENT],
                region=words[_REGION_ARGUMENT].removeprefix("/"),
                frozen=status == psutil.STATUS_STOPPED,
                on_disk=status == psutil.STATUS_DISK_SLEEP,
            )
    return found


def dead(triton_pid: int) -> set[int]:
    """Children that ended; they stay zombies, as tritonserver does not wait for them."""
    found = set()
    for child in _children(triton_pid):
        with suppress(psutil.Error):
            if child.status() == psutil.STATUS_ZOMBIE:
                found.add(child.pid)
    return found


def cpu_seconds(pid: int) -> float:
    """CPU time of a process so far without its children's, in seconds; 0 if it is gone."""
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)


def is_frozen(pid: int) -> bool:
    """Whether a process is stopped by a signal; False if it is gone."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    except psutil.Error:
        return False


def has_ended(pid: int) -> bool:
    """Whether a process is gone, or only its entry is left."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def kill(pid: int) -> None:
    """Ends a process at once, if it is still there."""
    with suppress(psutil.NoSuchProcess):
        psutil.Process(pid).kill()


def _children(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children()
    except psutil.Error:
        return []
