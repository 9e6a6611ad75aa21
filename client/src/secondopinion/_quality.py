"""The quality of a photo, as types."""

from msgspec import Struct


class PhotoWarning(Struct, frozen=True, kw_only=True):
    """What is poor about a photo.

    Attributes:
        code: Such as `blurred`; the service's documentation lists them.
        detail: The problem and its remedy, for whoever took the photo.
    """

    code: str
    detail: str = ""


class Quality(Struct, frozen=True, kw_only=True):
    """What the service measured of a photo; a measure is None where it does not apply.

    Attributes:
        warnings: They change no decision; empty where the photo is within the pipeline's bounds.
        sharpness: Variance of the Laplacian of the luminance, as the model sees it.
        dark_share: Share of the pixels that are nearly black, 0 to 1.
        bright_share: Share of the red, green and blue values that are at their end, 0 to 1.
        resolution: Pixels of the photo, along a side, for each one that the model sees.
        blocking: Step at the borders of JPEG blocks, divided by that within; about 1 without any.
        colour_shift: Largest change of a value, of 255, by a colour profile that is not applied.
        brightness: Mean luminance of what the model sees, 0 to 255.
    """

    warnings: tuple[PhotoWarning, ...] = ()
    sharpness: float | None = None
    dark_share: float | None = None
    bright_share: float | None = None
    resolution: float | None = None
    blocking: float | None = None
    colour_shift: float | None = None
    brightness: float | None = None
