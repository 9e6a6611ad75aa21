"""The gate of quantised members: their decisions are compared with the FP32 original's."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from export.errors import ExportError
from export.labelled_photos import Evidence
from inference.decision import predict, probabilities
from inference.rules import DecisionRules
from pipelines.manifest import GateFigures
from pipelines.spec import PipelineSpec

if TYPE_CHECKING:
    from export.formats import Run

_BATCH = 8
# Images whose features are looked at.
_FEATURES_OF = 32
# Shares are quotients of counts: 0.97 - 0.96 must not count as more than 0.01.
_DIGITS = 9


class GateError(ExportError):
    """A member or a way to decode loses more than its bounds allow, or cannot be measured."""


def measure(
    original: "Run", quantised: "Run", evidence: Evidence, spec: PipelineSpec
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
                "Calibrate with photos like the ones served, or remove the member from the YAML",
            ]
        )
    )


def require_features(run: "Run", member: str, evidence: Evidence) -> None:
    """Checks that a quantised member's features are numbers; they need not be the original's.

    Raises:
        GateError: one is not finite.
    """
    if not np.isfinite(logits(run, evidence.pixels[:_FEATURES_OF])).all():
        raise GateError(
            f"{member}: a feature is not a finite number: leave `features` out of the YAML, or "
            "the member"
        )


def logits(run: "Run", pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """An artefact's logits FP32 [N, K], or features, of pixels UINT8 [N, H, W, 3]."""
    starts = range(0, len(pixels), _BATCH)
    return np.concatenate([run(pixels[start : start + _BATCH]) for start in starts])


def decisions(numbers: NDArray[np.float32], spec: PipelineSpec) -> NDArray[np.int32]:
    """The predicted classes INT32 [N] of one member's finite logits [N, K] or [N, 1]."""
    return predicted(probabilities(numbers, len(spec.classes), spec.name), spec)


def predicted(p: NDArray[np.floating[Any]], spec: PipelineSpec) -> NDArray[np.int32]:
    """The predicted classes INT32 [N] of probabilities [N, K], at the default threshold."""
    rules = DecisionRules.from_spec(spec.model_dump(mode="json"))
    return predict(p, rules.positive, rules.threshold)


def sensitivity(answers: NDArray[np.int32], labels: NDArray[np.int64], spec: PipelineSpec) -> float:
    """Share of the positive class's images that are found; of several classes the mean share."""
    classes = range(len(spec.classes)) if spec.positive is None else [1]
    return float(np.mean([(answers[labels == index] == index).mean() for index in classes]))


def _drop(before: float, after: float) -> float:
    return round(before - after, _DIGITS)
