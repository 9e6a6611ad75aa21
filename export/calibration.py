"""Fits temperatures to labelled photos, and measures what they change.

Temperature scaling: C. Guo, G. Pleiss, Y. Sun and K. Q. Weinberger, On Calibration of Modern Neural
Networks, 2017, section 4.2. Logits are divided by the one number that gives labelled photos the
largest likelihood; no class moves above another.
"""

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from evaluation.metrics.calibration import calibration_error
from export.calibration_labels import CalibrationPhotos, LabelledHalf
from export.errors import ExportError
from export.gate import logits as logits_of
from export.gate import predicted
from inference.decision import probabilities
from pipelines.calibration import CalibrationFigures, Estimate, MemberCalibration
from pipelines.enums import Method
from pipelines.spec import PipelineSpec

if TYPE_CHECKING:
    from export.formats import Run

Floats = NDArray[np.float64]
_LEAST, _MOST = 0.05, 100.0
"""Bounds of a temperature. Beyond them lies no calibration, but photos or labels that are wrong."""
_HALVINGS = 60
_LOGIT_DIGITS = 5
_ERROR_DIGITS = 4
_NONE: Mapping[str, MemberCalibration] = {}


class TemperatureError(ExportError):
    """No temperature fits a member's logits."""


class Calibrations:
    """The calibration of each checkpoint of an export, and of its INT8 forms.

    All FP32 and FP16 forms of a checkpoint share one: their logits agree within the parity gate.
    """

    def __init__(
        self,
        photos: CalibrationPhotos | None = None,
        known: Mapping[str, MemberCalibration] = _NONE,
    ) -> None:
        """Takes photos, earlier calibrations, or both.

        Args:
            photos: to fit to, and to measure with; None: nothing is fitted.
            known: of before, by the member that has the checkpoint.
        """
        self._photos = photos
        self._known = dict(known)

    def of_checkpoint(
        self, spec: PipelineSpec, member: str, run: "Run"
    ) -> MemberCalibration | None:
        """The calibration of a member's checkpoint.

        Args:
            spec: the pipeline.
            member: a form of the checkpoint in FP32.
            run: its logits as they are, in the pipeline's class order.

        Raises:
            TemperatureError: none fits.
        """
        origin = spec.origin(member)
        if origin not in self._known and self._photos is not None:
            fitting, measuring = self._photos.fitting, self._photos.measuring
            found = temperature(
                _two_or_more(logits_of(run, fitting.pixels)), fitting.labels, member
            )
            scaled = logits_of(run, measuring.pixels) / found
            fitted = len(fitting.labels)
            self._known[origin] = measured(
                spec, found, scaled, measuring.labels, fitted=fitted, sha256=self._photos.sha256
            )
        return self._known.get(origin)

    def of_quantised(
        self,
        spec: PipelineSpec,
        member: str,
        original: MemberCalibration | None,
        run: "Run",
        judged: LabelledHalf,
    ) -> MemberCalibration | None:
        """The calibration of a quantised member, whose temperature is its original's.

        INT8 has logits of its own. Without photos to calibrate with, they are measured on those of
        its gate; the sets are then its own alone, and not those of an ensemble with FP32 members.

        Args:
            spec: the pipeline.
            member: a quantised member.
            original: the calibration of the member that it is made from.
            run: its logits, the temperature included.
            judged: the photos of its gate.
        """
        quantisation = spec.members[member].quantisation
        if original is None or (quantisation and quantisation.method is Method.FP16):
            return original
        half, sha256 = judged, _sha256(judged)
        if self._photos is not None:
            half, sha256 = self._photos.measuring, self._photos.sha256
        return measured(
            spec,
            original.figures.temperature,
            logits_of(run, half.pixels),
            half.labels,
            fitted=original.figures.fitted,
            sha256=sha256,
        )


def temperature(numbers: Floats, labels: NDArray[np.int64], member: str) -> float:
    """The temperature of the largest likelihood.

    The mean negative log-likelihood is convex in b = 1 / T, with the derivative
    mean(sum_k p_k z_k - z_label) for p = softmax(b z): its root is found by bisection.

    Args:
        numbers: logits [N, K], K at least 2.
        labels: INT64 [N], indices into the classes.
        member: for messages.

    Raises:
        TemperatureError: the likelihood grows up to a bound.
    """
    logits = np.asarray(numbers, np.float64)
    if not np.isfinite(logits).all():
        raise TemperatureError(f"{member}: gives numbers that are not finite for some photos")
    of_labels = logits[np.arange(len(labels)), labels]

    def slope(inverse: float) -> float:
        p = probabilities(logits * inverse, logits.shape[1], member)
        return float(((p * logits).sum(axis=1) - of_labels).mean())

    low, high = 1 / _MOST, 1 / _LEAST
    if slope(low) >= 0:
        raise TemperatureError(
            f"{member}: is no better than a guess on the photos of --calibration-labels: look for "
            "labels or classes that changed places"
        )
    if slope(high) <= 0:
        raise TemperatureError(
            f"{member}: is right about nearly every photo of --calibration-labels, so they do not "
            "say how often it is wrong: give photos that training did not see, and more of them, "
            "or leave the option out"
        )
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return round(2 / (low + high), _LOGIT_DIGITS)


def measured(
    spec: PipelineSpec,
    found: float,
    scaled: NDArray[Any],
    labels: NDArray[np.int64],
    *,
    fitted: int,
    sha256: str,
) -> MemberCalibration:
    """A member's calibration file.

    Args:
        spec: the pipeline.
        found: the temperature.
        scaled: logits of the photos to measure with, divided by it: [N, K] or [N, 1].
        labels: theirs, INT64 [N].
        fitted: how many other photos the temperature was fitted to.
        sha256: of all these photos.
    """
    rounded: Floats = np.asarray(np.round(scaled.astype(np.float64), _LOGIT_DIGITS), np.float64)
    figures = CalibrationFigures(
        temperature=found,
        fitted=fitted,
        measured=len(labels),
        error_before=error(spec, _probabilities(spec, rounded * found), labels),
        error_after=error(spec, _probabilities(spec, rounded), labels),
    )
    return MemberCalibration(
        figures=figures,
        photos_sha256=sha256,
        labels=tuple(labels.tolist()),
        logits=tuple(map(tuple, rounded.tolist())),
    )


def error(spec: PipelineSpec, p: Floats, labels: NDArray[np.int64]) -> Estimate:
    """The expected calibration error of probabilities [N, K], at the default threshold."""
    decided = predicted(p, spec)
    confidence = p[np.arange(len(labels)), decided]
    found = calibration_error(confidence, decided == labels)
    value, low, high = (round(each, _ERROR_DIGITS) for each in (found.value, found.low, found.high))
    return Estimate(value=value, low=low, high=high)


def _sha256(half: LabelledHalf) -> str:
    return hashlib.sha256(half.pixels.tobytes() + half.labels.tobytes()).hexdigest()


def _probabilities(spec: PipelineSpec, numbers: Floats) -> Floats:
    return probabilities(numbers, len(spec.classes), spec.name)


def _two_or_more(numbers: NDArray[np.float32]) -> Floats:
    """Logits [N, K]; of one logit z, [0, z]."""
    logits = np.asarray(numbers, np.float64)
    if logits.shape[1] > 1:
        return logits
    return np.concatenate([np.zeros_like(logits), logits], axis=1)
