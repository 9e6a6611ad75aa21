"""Images of other kinds than a pipeline's, and what its answers say of their typicality."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from secondopinion import Answer, photo_files

from evaluation.answers import Answered, Outcome
from evaluation.errors import EvaluationError, some
from evaluation.metrics.typicality import Judged, TypicalityScores, measure
from evaluation.reference_photos import content_digest

A = TypeVar("A", bound=Answer)


def find(folder: Path | None, labelled: Sequence[Path]) -> list[Path]:
    """The photos in a folder and its folders; none where there is no folder.

    Args:
        folder: Of images of other kinds.
        labelled: The photos that the pipeline is evaluated on.

    Raises:
        EvaluationError: There is none in it, it cannot be read, or one is among the labelled ones.
    """
    if folder is None:
        return []
    try:
        # Also what is no image: the service refuses it, and it is named.
        found = photo_files.below(folder).all()
    except OSError as error:
        raise EvaluationError(f"--other {folder}: {error.strerror}") from error
    if not found:
        raise EvaluationError(f"--other {folder}: holds no photos; name a folder of images")
    own = {content_digest(path) for path in labelled} - {None}
    if both := [path for path in found if content_digest(path) in own]:
        raise EvaluationError(
            f"--other: {len(both)} images are among the labelled photos too: "
            f"{some([str(path) for path in both])}; take them out of one of both"
        )
    return found


def judged(photos: Sequence[Outcome[A]], others: Sequence[Outcome[A]]) -> TypicalityScores | None:
    """How labelled photos and other images were judged; None where the service judges none."""
    return measure(*([_judged(each) for each in group] for group in (photos, others)))


def _judged(outcome: Outcome[A]) -> Judged | None:
    said = outcome.answer.raw.get("input") if isinstance(outcome, Answered) else None
    if not said or said.get("typicality") is None:
        return None
    return Judged(typicality=said["typicality"], typical=said["typical"])
