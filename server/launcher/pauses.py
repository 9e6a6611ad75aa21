"""Notices that the whole machine or service stood still, as while a virtual machine is moved."""

import time
from threading import Thread

_TICK_SECONDS = 0.5
_SECONDS = 5.0
"""Longest time between two ticks of a launcher that runs, on a starved machine too."""


class Pauses:
    """A thread that ticks, so that it does not matter what else the launcher waits for.

    It compares two clocks, as a hypervisor may stop the one and set the other.
    """

    def __init__(self) -> None:
        self._longest = 0.0
        Thread(target=self._tick, name="pauses", daemon=True).start()

    def stood_still(self) -> float | None:
        """Seconds of a pause since the last call; None where there was none."""
        longest, self._longest = self._longest, 0.0
        return longest if longest > _SECONDS else None

    def _tick(self) -> None:
        last = (time.monotonic(), time.time())
        while True:
            time.sleep(_TICK_SECONDS)
            now = (time.monotonic(), time.time())
            self._longest = max(self._longest, now[0] - last[0], now[1] - last[1])
            last = now
