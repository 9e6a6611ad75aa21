"""The gate of a member of fewer bits: it must decide as its FP32 original, and as often right."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.errors import ExportError
from export.formats import Run
from export.labelled_photos import Evidence
from pipelines.manifest import GateFigures
from pipelines.spec import PipelineSpec

_BATCH = 8
# Shares are quotients of counts: 0.97 - 0.96 must not count as more than 0.01.
_DIGITS = 9


class GateError(ExportError):
    """What was to be judged lost too much, or nothing could judge it."""


def measure(
    original: Run, quantised: Run, evidence: Evidence, spec: PipelineSpec
) -> tuple[GateFigures, float]:
    """Compares two artefacts on labelled images.

    Returns:
        The figures, and the largest absolute difference of logits.

    Raises:
        GateError: a class has no image, or an artefact answers a number that is not finite.
    """
    labels = evidence.labels
    if absent := [name for i, name in enumerate(spec.classes) if not (labels == i).any()]:
        raise GateError(f"no labelled image of {', '.join(absent)}: its sensitivity is not known")
    before, after = logits(original, evidence.pixels), logits(quantised, evidence.pixels)
    if not (np.isfinite(before).all() and np.isfinite(after).all()):
        raise GateError("an artefact answers a number that is not finite")
    decided, kept = decisions(before, spec), decisions(after, spec)
    figures = GateFigures(
        images=len(labels),
        calibration_images=len(evidence.calibration),
        agreement=float((decided == kept).mean()),
        accuracy=float((kept == labels).mean()),
        accuracy_fp32=float((decided == labels).mean()),
        sensitivity=sensitivity(kept, labels, spec),
        sensitivity_fp32=sensitivity(decided, labels, spec),
    )
    return figures, float(np.abs(before - after).max())


def require(figures: GateFigures, member: str, spec: PipelineSpec) -> None:
    """Holds the figures against the pipeline's bounds.

    Raises:
        GateError: one is not kept; the message says all figures.
    """
    bounds = spec.quantisation_gate
    kept = {
        f"{figures.images} images, {bounds.images_at_least} or more wanted": (
            figures.images >= bounds.images_at_least
        ),
        f"agreement {figures.agreement:.1%}, {bounds.agreement_at_least:.1%} or more wanted": (
            figures.agreement >= bounds.agreement_at_least
        ),
        f"accuracy {figures.accuracy:.1%} after {figures.accuracy_fp32:.1%}, "
        f"a drop of {bounds.accuracy_drop_at_most:.1%} or less wanted": (
            _drop(figures.accuracy_fp32, figures.accuracy) <= bounds.accuracy_drop_at_most
        ),
        f"sensitivity {figures.sensitivity:.1%} after {figures.sensitivity_fp32:.1%}, "
        f"a drop of {bounds.sensitivity_drop_at_most:.1%} or less wanted": (
            _drop(figures.sensitivity_fp32, figures.sensitivity) <= bounds.sensitivity_drop_at_most
        ),
    }
    if all(kept.values()):
        return
    verdicts = [f"  {'kept' if is_kept else 'LOST'}: {text}" for text, is_kept in kept.items()]
    raise GateError(
        "\n".join(
            [
                f"{member} does not pass the gate, nothing was published:",
                *verdicts,
                "Calibrate with photos like the ones served, or drop the member from the YAML",
            ]
        )
    )


def logits(run: Run, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """An artefact's logits FP32 [N, K] of pixels UINT8 [N, H, W, 3]."""
    starts = range(0, len(pixels), _BATCH)
    return np.concatenate([run(pixels[start : start + _BATCH]) for start in starts])


def decisions(numbers: NDArray[np.float32], spec: PipelineSpec) -> NDArray[np.int64]:
    """The predicted classes INT64 [N] of one member's logits [N, K] or [N, 1]."""
    return decided(probabilities(numbers), spec)


def probabilities(numbers: NDArray[np.float32]) -> NDArray[np.float64]:
    """The probabilities FP64 [N, K] of one member's logits [N, K] or, where K is 2, [N, 1]."""
    z = numbers.astype(np.float64)
    if z.shape[1] == 1:
        z = np.concatenate([np.zeros_like(z), z], axis=1)
    powers = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def decided(answers: NDArray[np.floating[Any]], spec: PipelineSpec) -> NDArray[np.int64]:
    """The predicted classes INT64 [N] of probabilities [N, K].

    By the contract's rule, as the decision step has it: the positive class where its probability
    reaches the default threshold in FP32, else the largest, of equal ones the first.
    """
    p = answers.astype(np.float32)
    if spec.threshold is None:
        return np.asarray(p.argmax(axis=1), dtype=np.int64)
    return np.asarray(p[:, 1] >= np.float32(spec.threshold.default), dtype=np.int64)


def sensitivity(
    predicted: NDArray[np.int64], labels: NDArray[np.int64], spec: PipelineSpec
) -> float:
    """Share of the positive class's images that are found; of several classes the mean share."""
    classes = range(len(spec.classes)) if spec.positive is None else [1]
    return float(np.mean([(predicted[labels == index] == index).mean() for index in classes]))


def _drop(before: float, after: float) -> float:
    return round(before - after, _DIGITS)
