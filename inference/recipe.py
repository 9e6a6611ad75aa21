"""What a pipeline's YAML says about decoding."""

import json
from dataclasses import dataclass
from typing import Self

from PIL import Image

# By profile: `fast` is for classifications alone.
_RESIZES = {"exact": {"stretch", "crop", "letterbox", "none"}, "fast": {"stretch", "crop"}}


@dataclass(frozen=True)
class Recipe:
    """From an image of any size to `height` x `width`, and what is too large to try."""

    height: int
    """Of the pixels; 0 where images keep their size. So is `width`."""
    width: int
    resize: str
    """`stretch`: both sides to the target. `crop`: the short side, then the centre. `letterbox`:
    the whole image, centred on a border. `none`: kept."""
    interpolation: Image.Resampling
    max_bytes: int
    max_pixels: int
    fill: int = 0
    """Red, green and blue of a letterbox's border."""
    max_aspect: float | None = None
    """Long side divided by the short one; None: any."""
    reserve: int | None = None
    """See `scaling.scaled_size`; None: a JPEG is decoded whole, as in training."""

    @classmethod
    def from_json(cls, preprocessing: str, limits: str) -> Self:
        """Reads the JSON of a spec's `preprocessing` and `limits`; absent and null are the same.

        Raises:
            KeyError, ValueError: a fact is missing or unknown.
        """
        facts, bounds = json.loads(preprocessing), json.loads(limits)
        resize, kept = facts["resize"], facts["resize"] == "none"
        if resize not in _RESIZES.get(decoding := facts["decoding"], ()):
            raise ValueError(f"no such decoding or resize: {decoding}, {resize}")
        aspect = bounds.get("aspect")
        return cls(
            height=0 if kept else int(facts["height"]),
            width=0 if kept else int(facts["width"]),
            resize=resize,
            interpolation=Image.Resampling["NEAREST" if kept else facts["interpolation"].upper()],
            max_bytes=int(bounds["bytes"]),
            max_pixels=int(bounds["pixels"]),
            fill=int(facts["fill"]) if resize == "letterbox" else 0,
            max_aspect=None if aspect is None else float(aspect),
            reserve=int(facts["reserve"]) if decoding == "fast" else None,
        )
