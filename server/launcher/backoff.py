"""The delay before each retry of something that fails repeatedly."""

import time

_LONGEST_SECONDS = 30.0
_QUIET_SECONDS = 60.0


class Backoff:
    """0, 1, 2, 4 ... 30 seconds; from the start again after a quiet minute."""

    def __init__(self) -> None:
        self._tries = 0
        self._next: float | None = None
        self._last = -_QUIET_SECONDS

    def delay(self) -> float:
        """Seconds to wait before the next try, which this call counts."""
        now = time.monotonic()
        if now - self._last > _QUIET_SECONDS:
            self._tries = 0
        delay = min(_LONGEST_SECONDS, 2.0 ** (self._tries - 1)) if self._tries else 0.0
        self._tries += 1
        self._last = now + delay
        return delay

    def due(self) -> bool:
        """Whether it is time for the next try: True once after each delay."""
        if self._next is None:
            self._next = time.monotonic() + self.delay()
        if time.monotonic() < self._next:
            return False
        self._next = None
        return True
