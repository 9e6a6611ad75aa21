"""The load of a run, step by step, and how much its times are compressed."""

from dataclasses import dataclass

from lab.autoscaling.pipeline import BATCH
from lab.autoscaling.record import Step

SECONDS = 360.0
"""A run that takes longer is ended."""


@dataclass(frozen=True)
class Plan:
    """Of one run."""

    factor: int = 15
    """Minutes of the behaviour pass as so many times shorter ones."""
    delay_ms: int = 640
    """What a replica takes for a batch, whatever its size."""
    cap: int = 40
    """Requests in flight that the gateway lets in: less than all replicas could take, so that
    what is refused must count for the autoscaler to go on."""
    most: int = 5
    """Replicas that a small machine has room for."""

    @property
    def capacity(self) -> float:
        """Requests a second that a replica answers at best."""
        return BATCH * 1000 / self.delay_ms

    @property
    def interval(self) -> float:
        """Seconds between two scrapes, and two looks: 15 where time is not compressed."""
        return 15 / self.factor

    def steps(self) -> list[Step]:
        """Up, overload, down: three times what two replicas answer is the overload."""
        quiet, busy = 0.1 * self.capacity, 0.85 * self.capacity
        return [
            Step("quiet", quiet, 20, 1),
            Step("busy", busy, 40, 2),
            Step("overload, 3 times", 3 * 2 * self.capacity, 45, self.most),
            Step("busy again", busy, 100, 2),
            Step("quiet again", quiet, 60, 1),
        ]
