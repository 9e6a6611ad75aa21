"""Notices that a test did not get the machine: it stood still, or had far too much to do."""

import time
from pathlib import Path
from threading import Thread

_TICK_SECONDS = 0.1
_LONG_SECONDS = 1.5
"""Between two ticks; a busy machine of two cores stays below."""
_AFTERMATH_SECONDS = 60
"""In which a service that was hit starts again."""
_PRESSURE = Path("/proc/pressure/cpu")
"""Linux's pressure stall information; older kernels have none."""
_STARVED_PERCENT = 75
"""Of a minute, in which some process that could run had no core."""


def now() -> float:
    """Seconds, of a clock that goes on while the machine stands still and no test replaces."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class _Stalls:
    def __init__(self) -> None:
        self.ended = float("-inf")
        Thread(target=self._tick, name="stalls", daemon=True).start()

    def _tick(self) -> None:
        last = now()
        while True:
            time.sleep(_TICK_SECONDS)
            if now() - last > _LONG_SECONDS:
                self.ended = now()
            last = now()


_stalls = _Stalls()


def stood_still_since(began: float) -> bool:
    """Whether it did since `began` (of `now`), or in the minute before."""
    return began < _stalls.ended + _AFTERMATH_SECONDS


def starved() -> bool:
    """Whether processes had to wait for a core most of the last minute."""
    try:
        some = _PRESSURE.read_text("ascii").splitlines()[0]
    except OSError:
        return False
    shares = dict(word.split("=") for word in some.split()[1:])
    return float(shares["avg60"]) > _STARVED_PERCENT
