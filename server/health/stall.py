"""Tells whether a model hangs or is only slow."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

IDLE_SECONDS = 30.0
"""A model hangs if requests wait and for so long nothing that it rests on uses CPU time."""
BUSY_SECONDS = 300.0
"""A model hangs if requests wait and for so long it makes no inference, whatever CPU time it uses.
No caller waits for so long, and a full batch on a starved machine takes less."""
WORKING_CPU_SECONDS = 0.2
_WORKING_SHARE = 0.05
"""CPU time, and share of a core since it was last seen to work, from which on a process works. One
that only waits uses less; one that works on a starved machine uses more."""
_LONGEST_GAP = 5.0
"""Seconds between two samples that count at most: a machine that stood still says nothing."""


@dataclass(frozen=True)
class ModelSample:
    """One model at one moment."""

    waiting: int
    """Requests in its queue."""
    inferences: int
    """Done so far."""
    cpu: float
    """CPU seconds so far: of its backend processes, or of tritonserver where it has none."""
    native: bool = False
    """Whether it runs inside tritonserver, so that its CPU time is one with all others'."""
    on_disk: bool = False
    """Whether a process of it waits for a disk."""
    waits_for: Collection[str] = ()
    """The models that it calls."""


class Progress:
    """What one model was seen to do."""

    def __init__(self, at: float, sample: ModelSample) -> None:
        self._at_mark, self._cpu_at_mark = at, sample.cpu
        self.sample = sample
        self.worked = self.inferred = self.waiting_since = at

    def take(self, at: float, now: ModelSample) -> None:
        """Takes the next sample."""
        if not (now.waiting and self.sample.waiting):
            self.waiting_since = at
        if inferred := now.inferences != self.sample.inferences:
            self.inferred = at
        used, seconds = now.cpu - self._cpu_at_mark, at - self._at_mark
        # CPU time falls where a process was replaced.
        replaced = now.cpu < self.sample.cpu
        busy = inferred or replaced or now.on_disk
        if busy or used >= max(WORKING_CPU_SECONDS, _WORKING_SHARE * seconds):
            self.worked, self._at_mark, self._cpu_at_mark = at, at, now.cpu
        self.sample = now

    def idle(self, at: float) -> bool:
        """Whether nothing was done for long; a native model's CPU time may be another model's."""
        limit = BUSY_SECONDS if self.sample.native else IDLE_SECONDS
        return at - self.worked > limit

    def stuck(self, at: float) -> bool:
        """Whether there was no inference for very long."""
        return at - self.inferred > BUSY_SECONDS

    def hangs(self, at: float) -> bool:
        """Whether requests wait for it in vain."""
        if not self.sample.waiting:
            return False
        # Rest before they came is no fault.
        since = at - self.waiting_since
        long = since > (BUSY_SECONDS if self.sample.native else IDLE_SECONDS)
        return (long and self.idle(at)) or (since > BUSY_SECONDS and self.stuck(at))


class Stall:
    """Takes a sample of a pipeline's models every second while it does not answer.

    A model at rest may be healthy: the requests may be in another one. A model that calls others is
    healthy while one of those works or has requests waiting; then that one is to blame, or none.
    """

    def __init__(self) -> None:
        self._models: dict[str, Progress] = {}
        self._last: float | None = None
        self._clock = 0.0

    def hanging(self, at: float, models: Mapping[str, ModelSample]) -> list[str]:
        """The models that are known to hang.

        Args:
            at: the time in seconds.
            models: the samples taken then, by model.
        """
        gap = 0.0 if self._last is None else at - self._last
        self._last, self._clock = at, self._clock + min(gap, _LONGEST_GAP)
        for name, sample in models.items():
            if name in self._models:
                self._models[name].take(self._clock, sample)
            else:
                self._models[name] = Progress(self._clock, sample)
        return [
            name
            for name, sample in models.items()
            if self._models[name].hangs(self._clock)
            and not any(self._engaged(called) for called in sample.waits_for)
        ]

    def rests(self, name: str) -> bool:
        """Whether a model has used no CPU time for long, as one that waits for another does."""
        return self._models[name].idle(self._clock)

    def _engaged(self, name: str) -> bool:
        """Whether a model works, or has requests that it may hang on itself."""
        model = self._models[name]
        at_rest = model.stuck(self._clock) if model.sample.native else model.idle(self._clock)
        return model.sample.waiting > 0 or not at_rest
