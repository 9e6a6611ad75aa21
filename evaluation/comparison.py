"""The comparison of two reports: the photos that they share, and a row for each metric."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Self, TypeVar

from pydantic import BaseModel, ConfigDict

from evaluation.errors import EvaluationError
from evaluation.metrics.significance import Difference, McNemar
from evaluation.report import ClassifiedPhoto, DetectedPhoto

P = TypeVar("P", ClassifiedPhoto, DetectedPhoto)


@dataclass(frozen=True)
class LeftOut:
    """Photos that a comparison leaves out, and why."""

    only_first: int
    only_second: int
    labelled_otherwise: int

    @property
    def any(self) -> bool:
        """Whether there are any."""
        return bool(self.only_first or self.only_second or self.labelled_otherwise)

    def __str__(self) -> str:
        return (
            f"{self.only_first} photos only in the first, {self.only_second} only in the second, "
            f"{self.labelled_otherwise} labelled otherwise"
        )


class Row(BaseModel):
    """A metric of both runs; the difference is second minus first."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    metric: str
    first: float | None
    second: float | None
    difference: Difference | None = None

    @classmethod
    def plain(cls, metric: str, first: float | None, second: float | None) -> Self:
        """A row whose difference has no interval."""
        value = None
        if first is not None and second is not None:
            value = Difference(second - first, None, None)
        return cls(metric=metric, first=first, second=second, difference=value)


class Comparison(BaseModel):
    """The comparison of two runs over the same photos.

    Attributes:
        first: Title of the one, as `second` of the other.
        demo: Whether demonstration weights answered in one of them.
        photos: How many are compared.
        mcnemar: Of right and wrong answers; None for detectors.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    first: str
    second: str
    demo: bool
    photos: int
    left_out: LeftOut
    rows: list[Row]
    mcnemar: McNemar | None = None


@dataclass(frozen=True)
class Paired(Generic[P]):
    """Both runs' answers about the photos they share, labelled alike, in the same order."""

    first: list[P]
    second: list[P]
    left_out: LeftOut


def pair(first: Sequence[P], second: Sequence[P], *, common: bool) -> Paired[P]:
    """Pairs answers about the same content.

    Args:
        first: One run's answers.
        second: The other's.
        common: Whether to compare the shared photos only, where the label sets differ.

    Raises:
        EvaluationError: They differ and `common` is false, or no photo is shared.
    """
    ours, theirs = _known(first), _known(second)
    shared = [key for key in ours if key in theirs]
    alike = [key for key in shared if _label(ours[key]) == _label(theirs[key])]
    left_out = LeftOut(
        only_first=len(ours) - len(shared),
        only_second=len(theirs) - len(shared),
        labelled_otherwise=len(shared) - len(alike),
    )
    if not alike:
        raise EvaluationError(
            f"the runs share no photo ({left_out}); evaluate both on the same label set"
        )
    if left_out.any and not common:
        raise EvaluationError(
            f"the runs are not over the same label set: {left_out}; evaluate both on the same "
            f"one, or give --common to compare the {len(alike)} photos they share"
        )
    return Paired([ours[key] for key in alike], [theirs[key] for key in alike], left_out)


def _known(answers: Sequence[P]) -> dict[tuple[str, int], P]:
    """By content; its copies are counted, so that none replaces another."""
    times: dict[str, int] = {}
    known = {}
    for answer in answers:
        nth = times[answer.sha256] = times.get(answer.sha256, 0) + 1
        known[answer.sha256, nth] = answer
    return known


def _label(answer: ClassifiedPhoto | DetectedPhoto) -> str:
    return answer.label if isinstance(answer, ClassifiedPhoto) else answer.labels_sha256
