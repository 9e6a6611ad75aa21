"""The probes of a pipeline that are under way, and what they make suspect."""

from collections import Counter
from concurrent.futures import Future
from dataclasses import dataclass

from server.health.probe import ProbeResult
from server.health.stall import Stall

_INTERVAL_SECONDS = 5.0
_SHARE = 0.05
"""Largest share of a pipeline's time that probes take: a slow pipeline is probed less often."""
_LONGEST_INTERVAL_SECONDS = 30.0
"""However slow it is: what hangs without traffic is found by probes alone."""
_SILENT_SECONDS = 3.0
_STRIKES = 3
"""Bad results in a row before a process is replaced."""


@dataclass(frozen=True)
class SentProbe:
    """A probe, when it was sent, and the CPU time that each backend process had used by then."""

    at: float
    future: "Future[ProbeResult]"
    cpu: dict[int, float]


class PendingProbes:
    """The probes of one pipeline that have no result yet, and what is suspected meanwhile."""

    def __init__(self, now: float) -> None:
        """None is sent yet; the first is due an interval from now."""
        self.waiting: list[SentProbe] = []
        self.next = now + _INTERVAL_SECONDS
        self.strikes = 0
        self.stall, self.mute = Stall(), Stall()
        """Of its models, and of tritonserver while its metrics do not answer."""
        self.killed: set[str] = set()
        """Models whose processes were ended since the last answer."""
        self.answered = float("-inf")
        """When the last answer came."""
        self.fastest: float | None = None
        """Seconds of the quickest answer: the cost of a probe when nothing else is served."""
        self.inferences: Counter[str] = Counter()
        """Inferences of each model, counted when a probe was last due."""

    @property
    def interval(self) -> float:
        """Seconds between two probes."""
        rare = min((self.fastest or 0.0) / _SHARE, _LONGEST_INTERVAL_SECONDS)
        return max(_INTERVAL_SECONDS, rare)

    def results(self) -> list[tuple[SentProbe, ProbeResult]]:
        """The probes that came back since the last call."""
        done = [probe for probe in self.waiting if probe.future.done()]
        self.waiting = [probe for probe in self.waiting if probe not in done]
        return [(probe, probe.future.result()) for probe in done]

    def silent(self, now: float) -> bool:
        """Whether the oldest probe waits for longer than a healthy, idle pipeline needs."""
        return bool(self.waiting) and now - self.waiting[0].at > _SILENT_SECONDS

    def withdraw(self) -> None:
        """Drops all probes: the processes that they were sent to are gone."""
        self.waiting, self.strikes = [], 0
        self.stall, self.mute = Stall(), Stall()

    def clear_suspicion(self) -> None:
        """Forgets bad results: an answer came."""
        self.strikes, self.killed = 0, set()
        self.stall, self.mute = Stall(), Stall()

    def third_strike(self) -> bool:
        """Counts a bad result; True for every third in a row."""
        self.strikes = (self.strikes + 1) % _STRIKES
        return self.strikes == 0
