"""Pastes the small masks of boxes into the image, as torchvision does.

Source: `paste_masks_in_image` of torchvision.models.detection.roi_heads (and of Detectron before):
box and mask grow by a border of one cell, the box is truncated to whole pixels, the mask is
stretched over it (bilinear, corners not aligned) and counts where it is more than one half.
Only the box's window is computed, never a whole image.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

_BORDER = 1
_HALF = np.float32(0.5)
_COLUMNS_AT_ONCE = 256


@dataclass(frozen=True)
class Window:
    """Where a mask may be in the image, in whole pixels; empty where it lies outside."""

    left: int
    top: int
    inside: NDArray[np.bool_]
    """[height, width] of the window; its columns are contiguous."""

    @property
    def area(self) -> int:
        """Pixels of the mask."""
        return int(np.count_nonzero(self.inside))


@dataclass(frozen=True)
class Stretched:
    """A mask laid over its box: a value for any point of the image."""

    cells: NDArray[np.float32]
    """[S + 2, S + 2], with the border of zeros."""
    box: tuple[int, int, int, int]
    """Of the cells: left, top, right, bottom; the last two belong to it."""
    frame: tuple[int, int]
    """Height and width of the image."""

    @classmethod
    def over(
        cls, mask: NDArray[np.float32], box: NDArray[np.float32], frame: tuple[int, int]
    ) -> Self:
        """Lays [S, S] over x1, y1, x2, y2."""
        cells = np.pad(mask, _BORDER)
        grown = np.float32(cells.shape[0] / mask.shape[0])
        half = (box[2:] - box[:2]) * np.float32(0.5) * grown
        centre = (box[2:] + box[:2]) * np.float32(0.5)
        corners = np.concatenate([centre - half, centre + half]).astype(np.int64)
        left, top, right, bottom = corners.tolist()
        return cls(cells, (left, top, right, bottom), frame)

    @property
    def columns(self) -> tuple[int, int]:
        """The first of the image that the box covers, and the one after the last."""
        return max(self.box[0], 0), max(min(self.box[2] + 1, self.frame[1]), self.box[0], 0)

    @property
    def rows(self) -> tuple[int, int]:
        """As `columns`."""
        return max(self.box[1], 0), max(min(self.box[3] + 1, self.frame[0]), self.box[1], 0)

    def values(self, xs: NDArray[np.generic], ys: NDArray[np.generic]) -> NDArray[np.float32]:
        """Bilinear at the pixels (x, y) of the image, [len(xs), len(ys)]; column by column."""
        across = _weights(self.cells.shape[1], self.box[0], self.box[2], xs)
        down = _weights(self.cells.shape[0], self.box[1], self.box[3], ys)
        return np.asarray(across @ self.cells.T @ down.T)

    def window(self) -> Window:
        """The pixels that the mask covers."""
        (left, right), (top, bottom) = self.columns, self.rows
        inside = np.empty((right - left, bottom - top), dtype=np.bool_)
        for start in range(left, right, _COLUMNS_AT_ONCE):  # few numbers at a time
            xs = np.arange(start, min(start + _COLUMNS_AT_ONCE, right))
            values = self.values(xs, np.arange(top, bottom))
            np.greater(values, _HALF, out=inside[start - left : start - left + len(xs)])
        return Window(left, top, inside.T)


def _weights(
    cells: int, first: int, last: int, positions: NDArray[np.generic]
) -> NDArray[np.float32]:
    """How much each cell counts at each pixel, [len(positions), cells]: two neighbours, 1 in all.

    Pixel `first + i` of `last - first + 1` looks at (i + 1/2) / pixels * cells - 1/2.
    """
    scale = cells / max(last - first + 1, 1)
    at = np.maximum((positions.astype(np.float64) - first + 0.5) * scale - 0.5, 0.0)
    low = np.minimum(at.astype(np.int64), cells - 1)
    high = np.minimum(low + 1, cells - 1)
    share = (at - low).astype(np.float32)
    weights = np.zeros((len(at), cells), dtype=np.float32)
    row = np.arange(len(at))
    weights[row, low] = 1 - share
    weights[row, high] += share
    return weights
