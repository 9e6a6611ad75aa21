"""The settings of preprocessing, from an uploaded image to a model's input."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pipelines.decoding_limits import DecodingLimits
from pipelines.enums import Colour, Decoding, Resize
from pipelines.fact import Facts, Rgb

Side = Annotated[int, Field(ge=1, le=4096)]


class Preprocessing(Facts):
    """From an image to what the model sees."""

    decoding: Decoding
    colour: Colour = Colour.AS_STORED
    resize: Resize
    height: Side | None = None
    width: Side | None = None
    interpolation: Literal["nearest", "bilinear", "bicubic", "lanczos"] | None = None
    fill: Annotated[int, Field(ge=0, le=255)] | None = None
    """Of the border of a letterbox: the value of its red, green and blue."""
    reserve: int | None = Field(default=None, ge=1, le=8)
    """Of `fast`: pixels, along each side, that a JPEG is left for each one that a member sees. More
    make it slower, and closer to `exact`."""
    mean: Rgb
    """Of RGB pixels in [0, 1], subtracted before the division by `std`."""
    std: Rgb

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        target = (self.height, self.width, self.interpolation)
        if self.resize is Resize.NONE and target != (None, None, None):
            raise ValueError("resize: none takes no height, width or interpolation")
        if self.resize is not Resize.NONE and None in target:
            raise ValueError(f"resize: {self.resize} needs height, width and interpolation")
        if (self.resize is Resize.LETTERBOX) != (self.fill is not None):
            raise ValueError("fill: belongs to a letterbox, which needs it")
        if self.decoding is Decoding.FAST and self.reserve is None:
            raise ValueError("reserve: is needed where decoding is fast (1 or more)")
        return self

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width of the pixels; None where images keep their own."""
        if self.height is None or self.width is None:
            return None
        return self.height, self.width


class Limits(Facts):
    """What one encoded image may weigh and measure."""

    bytes: int = Field(ge=1024)
    pixels: int = Field(ge=1)
    aspect: Annotated[float, Field(ge=1, allow_inf_nan=False)] | None = None
    """Long side divided by the short one, at most; None: any."""
    # What decoding may cost: see DecodingLimits.
    decoded_bytes: int = Field(default=DecodingLimits.decoded_bytes, ge=2**20)
    cpu_seconds: int = Field(default=DecodingLimits.cpu_seconds, ge=1)
    scans: int = Field(default=DecodingLimits.scans, ge=1)
    segments: int = Field(default=DecodingLimits.segments, ge=1)
    strips: int = Field(default=DecodingLimits.strips, ge=1)
    chunks: int = Field(default=DecodingLimits.chunks, ge=1)
    frames: int = Field(default=DecodingLimits.frames, ge=1)
