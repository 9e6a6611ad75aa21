"""What of one pipeline is waited for, and how long it will take."""

import time
from collections import Counter
from dataclasses import dataclass

ALWAYS = 4
"""Requests of a pipeline that are let in however slow it is: fewer would leave processes idle."""
_SMOOTHING = 1 / 32
"""Weight of the newest interval in the mean."""
_SAMPLES = ALWAYS
"""Answers that the estimate needs before it says anything."""


@dataclass(slots=True)
class ThroughputEstimate:
    """How many images are waited for, and the mean time between two answers.

    The wait is their product (Little's law; J. D. C. Little, A Proof for the Queuing Formula
    L = lambda W, 1961). Intervals are measured only while images are waited for, so an idle time
    does not make a pipeline look slow. Times are of a monotonic clock, in seconds.
    """

    images: int = 0
    _interval: float = 0.0
    _samples: int = 0
    _since: float = 0.0
    """Time of the last answer, or of the first image after an idle time."""

    def enter(self, images: int, now: float) -> None:
        """Images are waited for from now on."""
        if not self.images:
            self._since = now
        self.images += images

    def answered(self, images: int, now: float) -> None:
        """Images were answered together."""
        self.images -= images
        seconds = (now - self._since) / images
        for _ in range(images):
            self._samples += 1
            # The first intervals have equal weights; later ones fade.
            weight = max(_SMOOTHING, 1 / self._samples)
            self._interval += weight * (seconds - self._interval)
        self._since = now

    def leave(self, images: int) -> None:
        """Images were refused or abandoned: they do not update the estimate."""
        self.images -= images

    @property
    def interval(self) -> float:
        """Mean seconds between two answers; 0 while too little is known."""
        return self._interval if self._samples >= _SAMPLES else 0.0


class Load:
    """What of one pipeline is waited for, and how fast it is answered.

    Images are told apart by whether their callers are patient.
    """

    def __init__(self) -> None:
        self.requests = Counter[bool]()
        """Waited for."""
        self.images: dict[bool, Counter[str]] = {False: Counter(), True: Counter()}
        """Not answered yet, by caller."""
        self.patient_in_triton = 0
        self.left_in_triton = 0
        """Images of callers who were not patient and wait no longer."""
        self.total = ThroughputEstimate()
        self.patient = ThroughputEstimate()

    def enter(self, caller: str, *, patient: bool, images: int) -> None:
        """Images are waited for."""
        now = time.monotonic()
        self.images[patient][caller] += images
        for estimate in self._estimates(patient=patient):
            estimate.enter(images, now)

    def answered(self, caller: str, *, patient: bool, images: int) -> None:
        """Images were answered together."""
        now = time.monotonic()
        self._remove(caller, patient=patient, images=images)
        for estimate in self._estimates(patient=patient):
            estimate.answered(images, now)

    def leave(self, caller: str, *, patient: bool, images: int) -> None:
        """Images got no answer."""
        self._remove(caller, patient=patient, images=images)
        for estimate in self._estimates(patient=patient):
            estimate.leave(images)

    def seconds(self, *, patient: bool, images: int) -> tuple[float, float]:
        """Expected time until so many more images are answered, and until the first one's turn.

        Patient callers have what the others leave. So of them it is also the time that their own
        images take at the rate of their own last answers.
        """
        first = self.total.images + self.left_in_triton
        if not patient:
            # What is in Triton already is not taken back.
            first += self.patient_in_triton - self.patient.images
        interval, own = self.total.interval, self.patient.interval if patient else 0.0
        before = max(first * interval, self.patient.images * own)
        return max((first + images) * interval, (self.patient.images + images) * own), before

    def _estimates(self, *, patient: bool) -> tuple[ThroughputEstimate, ...]:
        return (self.total, self.patient) if patient else (self.total,)

    def _remove(self, caller: str, *, patient: bool, images: int) -> None:
        self.images[patient][caller] -= images
        if not self.images[patient][caller]:
            # Callers come and go: their names are not kept.
            del self.images[patient][caller]
