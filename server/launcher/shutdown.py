"""SIGTERM, SIGINT and SIGHUP as a state: stop, and at the second Ctrl-C, hurry."""

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
        """Whether not even to wait for requests in flight."""
        return self._interrupts > 1

    def wait(self, seconds: float) -> bool:
        """Sleeps, but not past the request to stop; says whether there is one."""
        return self._event.wait(seconds)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._interrupts += number == signal.SIGINT
        self._event.set()
