"""Handles SIGTERM, SIGINT and SIGHUP: they stop the launcher, the second Ctrl-C at once."""

import signal
import threading
from types import FrameType


class Shutdown:
    """Installed once, from the main thread."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._interrupts = 0
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_signal)

    def requested(self) -> bool:
        """Whether to stop."""
        return self._event.is_set()

    def hurried(self) -> bool:
        """Whether to stop without waiting for requests in flight."""
        return self._interrupts > 1

    def wait(self, seconds: float) -> bool:
        """Sleeps until the time is over or the stop is requested; True if it is requested."""
        return self._event.wait(seconds)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._interrupts += number == signal.SIGINT
        self._event.set()
