"""Images of other kinds than a pipeline's, and what its answers say of their typicality."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from secondopinion import Answer, photo_files

from evaluation.answers import Answered, Outcome
from evaluation.errors import EvaluationError, some
from evaluation.metrics.typicality import Judged, TypicalityScores, measure

A = TypeVar("A", bound=Answer)


def find(folder: Path | None) -> list[Path]:
    """The photos in a folder and its folders; none where there is no folder.

    Raises:
        EvaluationError: There is none in it, or it cannot be read.
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
    return found


def judged(photos: Sequence[Outcome[A]], others: Sequence[Outcome[A]]) -> TypicalityScores | None:
    """How labelled photos and other images were judged; None where the service judges none.

    Raises:
        EvaluationError: An image is among both.
    """
    own = {each.sha256: each.file for each in photos if isinstance(each, Answered)}
    both = [each.file for each in others if isinstance(each, Answered) and each.sha256 in own]
    if both:
        raise EvaluationError(
            f"--other: {len(both)} images are among the labelled photos too: "
            f"{some([str(file) for file in both])}; take them out of one of both"
        )
    return measure(*([_judged(each) for each in group] for group in (photos, others)))


def _judged(outcome: Outcome[A]) -> Judged | None:
    said = outcome.answer.raw.get("input") if isinstance(outcome, Answered) else None
    if not said or said.get("typicality") is None:
        return None
    return Judged(typicality=said["typicality"], typical=said["typical"])
