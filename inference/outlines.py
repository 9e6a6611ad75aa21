"""Masks as polygons, for those who draw and cannot read runs."""

import json
from typing import TypeAlias, cast

import numpy as np
from contourpy import FillType, contour_generator
from numpy.typing import NDArray

from inference.masks import Stretched

_OuterOffset: TypeAlias = tuple[list[NDArray[np.float64]], list[NDArray[np.uint32]]]
_LEVEL = 0.5
_SAMPLES_PER_CELL = 2
"""So many points from one of the mask's own numbers to the next follow its curve (IoU with the mask
over 0.98 from boxes of 40 pixels on), and a whole photograph gets some hundred corners, not
thousands."""
_DECIMALS = 1


def outlines(mask: Stretched) -> list[list[float]]:
    """Outer outlines [x, y, x, y, ...] of the mask's parts, in pixels of the image, to 0.1.

    The image spans 0 to its width, so the centre of its first pixel is at 0.5. Holes are left
    out: polygons of this form cannot tell them.
    """
    (left, right), (top, bottom) = mask.columns, mask.rows
    if left >= right or top >= bottom:
        return []
    most = _SAMPLES_PER_CELL * mask.cells.shape[0]
    xs = np.linspace(left, right - 1, min(right - left, most))
    ys = np.linspace(top, bottom - 1, min(bottom - top, most))
    # A border of nothing closes what the image's edge cuts through.
    values = np.pad(mask.values(xs, ys).T.astype(np.float64), 1)
    contours = contour_generator(
        np.concatenate([[left], xs + 0.5, [right]]),
        np.concatenate([[top], ys + 0.5, [bottom]]),
        values,
        fill_type=FillType.OuterOffset,
    )
    parts, offsets = cast("_OuterOffset", contours.filled(_LEVEL, np.inf))
    # A part's first outline is its outer one; its last point repeats its first.
    return [
        np.round(points[: ends[1] - 1], _DECIMALS).reshape(-1).tolist()
        for points, ends in zip(parts, offsets, strict=True)
    ]


def as_json(mask: Stretched) -> str:
    """The outlines as they travel."""
    return json.dumps(outlines(mask), separators=(",", ":"))
