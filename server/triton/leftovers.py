"""Finds and removes the leftovers of a dead Triton: backend processes and shared memory."""

from contextlib import suppress
from pathlib import Path

import psutil

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - where Triton keeps its regions


def region_prefix(grpc_port: int) -> str:
    """Start of the names of the shared-memory regions of one Triton, and of no other."""
    return f"second_opinion_{grpc_port}_"


def processes(prefix: str) -> list[psutil.Process]:
    """Processes of Triton and its backends that were started with a region prefix."""
    found = []
    for process in psutil.process_iter():
        try:
            name, words = process.name(), process.cmdline()
        except psutil.Error:
            continue
        if name.startswith("triton") and any(prefix in word for word in words):
            found.append(process)
    return found


def clear(prefix: str) -> str | None:
    """Ends processes and removes regions of a prefix; says what there was, None for nothing.

    Only for a prefix whose lock is held, and while its Triton is stopped.
    """
    orphans = processes(prefix)
    for process in orphans:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(orphans, timeout=5)
    remains = regions(prefix)
    for region in remains:
        region.unlink(missing_ok=True)
    if not orphans and not remains:
        return None
    return (
        f"removed the leftovers of an earlier server: {len(orphans)} processes, "
        f"{len(remains)} regions of shared memory"
    )


def remove_region(name: str) -> None:
    """Removes the region of a backend process that ended: tritonserver leaves it, and its images.

    A tritonserver that still has it mapped may go on using it.
    """
    (SHARED_MEMORY / name).unlink(missing_ok=True)


def close_regions(prefix: str) -> None:
    """Lets nobody but their user read the regions of a prefix, whatever images are in them.

    The umask is no help: Triton's library sets the mode of a new region itself, to 0644.
    """
    for region in regions(prefix):
        with suppress(FileNotFoundError):
            region.chmod(0o600)


def regions(prefix: str) -> list[Path]:
    """Shared-memory regions of a prefix."""
    return sorted(SHARED_MEMORY.glob(f"{prefix}*"))
