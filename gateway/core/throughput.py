"""How fast a pipeline answers, and so how long a request that comes now would wait."""

from dataclasses import dataclass

_SMOOTHING = 1 / 32
"""Weight of the newest interval in the mean: some dozens of answers tell the pace."""
_SAMPLES = 16
"""Answers before which nothing is said of it."""


@dataclass(slots=True)
class Pace:
    """The requests of one pipeline that are in flight, and the time between two answers.

    The wait is their product (Little's law; J. D. C. Little, A Proof for the Queuing Formula
    L = lambda W, 1961). Intervals are taken only while requests are in flight, so a pipeline
    that was idle is not taken for a slow one. Times are of a monotonic clock, in seconds.
    """

    in_flight: int = 0
    _interval: float = 0.0
    _samples: int = 0
    _since: float = 0.0
    """The last answer, or when the first request came after a rest."""

    def enter(self, now: float) -> None:
        """A request begins."""
        if not self.in_flight:
            self._since = now
        self.in_flight += 1

    def leave(self, now: float, *, answered: bool) -> None:
        """A request is over. What failed or left says nothing of the pace but by its absence."""
        self.in_flight -= 1
        if not answered:
            return
        self._samples += 1
        # The first ones count alike; later the mean forgets.
        weight = max(_SMOOTHING, 1 / self._samples)
        self._interval += weight * (now - self._since - self._interval)
        self._since = now

    def wait(self, ahead: int) -> float:
        """Expected seconds until one more request is answered; 0 while too little is known.

        Args:
            ahead: requests that come first: those in flight, and what callers left behind.
        """
        return ahead * self._interval if self._samples >= _SAMPLES else 0.0
