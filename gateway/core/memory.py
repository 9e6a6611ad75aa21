"""Gives memory of images that are over back to the system, which glibc by itself keeps."""

import asyncio
import ctypes
import os
from pathlib import Path

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8
"""Of mallopt(3)."""
_LARGE = 1024 * 1024
"""From so many bytes on an allocation is given back as soon as it is free."""
_ARENAS = 2
"""Heaps of all threads together; each keeps what is free in it."""
_SECONDS, _MOST_SECONDS = 2.0, 60.0
_WORTH = 32 * 1024 * 1024
"""Bytes that are worth the milliseconds that it takes to give them back."""
_PAGES = Path("/proc/self/statm")
_CAN_TELL = _PAGES.exists()

_libc = ctypes.CDLL(None)


def bound_heaps() -> None:
    """Sets what the allocator keeps; to be called before threads are started."""
    if hasattr(_libc, "mallopt"):
        _libc.mallopt(_M_ARENA_MAX, _ARENAS)
        _libc.mallopt(_M_MMAP_THRESHOLD, _LARGE)


async def give_back() -> None:
    """Gives free memory back whenever the process has grown, until it is cancelled."""
    if not (hasattr(_libc, "malloc_trim") and _CAN_TELL):
        return
    least, seconds = _resident(), _SECONDS
    while True:
        await asyncio.sleep(seconds)
        before = _resident()
        if before - least < _WORTH:
            least, seconds = min(least, before), _SECONDS
            continue
        # Beside the event loop: it takes milliseconds.
        await asyncio.to_thread(_libc.malloc_trim, 0)
        freed = before - _resident()
        # What is in use is looked at less and less often.
        seconds = _SECONDS if freed >= _WORTH else min(2 * seconds, _MOST_SECONDS)


def _resident() -> int:
    """Bytes of memory that the process holds."""
    return int(_PAGES.read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
