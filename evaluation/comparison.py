"""Two runs side by side, on the photos they share."""

from typing import Self

from pydantic import BaseModel, ConfigDict

from evaluation.metrics.significance import Difference, McNemar
from evaluation.pairing import LeftOut


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
    """What two runs say of the same photos.

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
