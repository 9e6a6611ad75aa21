"""The bounds of a photo's quality: beyond one, an answer has a warning with its remedy."""

from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from pipelines.enums import QualityWarning
from pipelines.fact import Facts

_TEXTS = {
    QualityWarning.BLURRED: "The image is blurred. Hold the camera still and repeat the photo.",
    QualityWarning.DARK: "The image is too dark. Add light and repeat the photo.",
    QualityWarning.OVEREXPOSED: "The image is overexposed. Use less light or no flash and repeat "
    "the photo.",
    QualityWarning.SMALL: "The image has fewer pixels than the model uses. Send the photo at its "
    "full size.",
    QualityWarning.RECOMPRESSED: "The image shows the blocks of a strong JPEG compression. Send "
    "the file as the camera saved it.",
    QualityWarning.COLOUR_PROFILE: "The image's colour profile is not sRGB and is not applied, so "
    "the model sees other colours. Save the photo in sRGB.",
}
"""Where a YAML gives none."""


class _Bound(Facts):
    """A bound, and what is said of a photo beyond it."""

    text: str = Field(min_length=1, max_length=300, pattern=r"^[^\n\r]*$")
    """For the person who took the photo: the problem, then the remedy. One line."""
    refuse: bool = False
    """Whether such a photo gets no answer (422, `image_quality`) and not only a warning."""


class Below(_Bound):
    """Warns of a smaller measure."""

    below: Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Above(_Bound):
    """Warns of a larger measure."""

    above: Annotated[float, Field(ge=0, allow_inf_nan=False)]


def _worded(warning: QualityWarning) -> BeforeValidator:
    def with_text(facts: object) -> object:
        return {"text": _TEXTS[warning], **facts} if isinstance(facts, dict) else facts

    return BeforeValidator(with_text)


class Quality(Facts):
    """The bound of each measure; None: the measure is answered and not judged.

    `python -m export.quality` proposes bounds from a folder of good photos.
    """

    blurred: Annotated[Below | None, _worded(QualityWarning.BLURRED)] = None
    """Of `sharpness`, a variance of grey levels."""
    dark: Annotated[Above | None, _worded(QualityWarning.DARK)] = None
    """Of `dark_share`, in [0, 1]."""
    overexposed: Annotated[Above | None, _worded(QualityWarning.OVEREXPOSED)] = None
    """Of `bright_share`, in [0, 1]."""
    small: Annotated[Below | None, _worded(QualityWarning.SMALL)] = None
    """Of `resolution`; below 1 the photo is enlarged for the model."""
    recompressed: Annotated[Above | None, _worded(QualityWarning.RECOMPRESSED)] = None
    """Of `blocking`, a ratio; about 1 without visible blocks."""
    colour_profile: Annotated[Above | None, _worded(QualityWarning.COLOUR_PROFILE)] = None
    """Of `colour_shift`, in levels of 255."""
    side: int | None = Field(default=None, ge=1)
    """Of images that keep their size: pixels of the short side that the model resizes to."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        for name in (QualityWarning.DARK, QualityWarning.OVEREXPOSED):
            bound: Above | None = getattr(self, name)
            if bound is not None and bound.above >= 1:
                raise ValueError(f"{name}.above: is a share of the pixels: give less than 1")
        return self
