"""Notices that the whole machine or service stood still, as while a virtual machine is moved."""

import time
import weakref
from collections.abc import Callable
from threading import Thread

_TICK_SECONDS = 0.5
_SECONDS = 3.0
"""Longest time between two ticks of a process that runs, on a starved machine too."""
_AFTERMATH_SECONDS = 3.0
"""After a pause, by when the launcher has ended the Triton that went through it."""


class Pauses:
    """A thread that ticks, so that it does not matter what else the process waits for.

    It compares two clocks, as a hypervisor may stop the one and set the other.
    """

    def __init__(self, noticed: Callable[[], object] = lambda: None) -> None:
        """Begins to tick; `noticed` is called in the thread right after a pause."""
        self._noticed = noticed
        self._longest = 0.0
        self._ended = float("-inf")
        self._last = (time.monotonic(), time.time())
        Thread(target=_tick, args=(weakref.ref(self),), name="pauses", daemon=True).start()

    def stood_still(self) -> float | None:
        """Seconds of a pause since the last call; None where there was none."""
        longest, self._longest = self._longest, 0.0
        return longest if longest > _SECONDS else None

    def overlapped(self, began: float) -> bool:
        """Whether a pause was under way since `began` (monotonic), or shortly before."""
        if self._gap() > _SECONDS:  # it ends right now, and the thread has not noticed yet
            return True
        return began < self._ended + _AFTERMATH_SECONDS

    def _gap(self) -> float:
        last = self._last
        return max(time.monotonic() - last[0], time.time() - last[1])

    def tick(self) -> None:
        """Takes the time; done by the thread."""
        gap = self._gap()
        self._longest = max(self._longest, gap)
        if gap > _SECONDS:
            self._ended = time.monotonic()
            self._noticed()
        self._last = (time.monotonic(), time.time())


def _tick(of: "weakref.ref[Pauses]") -> None:
    """Ends once nobody asks any more."""
    while pauses := of():
        pauses.tick()
        del pauses
        time.sleep(_TICK_SECONDS)
