"""Masks in COCO's compressed run-length encoding.

Source: `rleToString` of pycocotools' maskApi.c.
"""

import json

import numpy as np
from numpy.typing import NDArray

from inference.masks import Window


def encode(window: Window, frame: tuple[int, int]) -> str:
    """JSON {"size": [height, width], "counts": text} of a mask in an image of the size `frame`."""
    height, width = frame
    return json.dumps({"size": [height, width], "counts": _text(_runs(window, height, width))})


def _runs(window: Window, height: int, width: int) -> NDArray[np.int64]:
    """Lengths of the runs down the columns of the image, outside and inside in turn."""
    columns = np.pad(window.inside.T, ((0, 0), (1, 1)))
    column, row = np.divmod(
        np.flatnonzero(columns[:, 1:] != columns[:, :-1]), max(columns.shape[1] - 1, 1)
    )
    flips = (window.left + column) * height + window.top + row
    # A run to the bottom of the image and one from the top of its next column are one.
    again = np.flatnonzero(flips[1:] == flips[:-1])
    flips = np.delete(flips, np.concatenate([again, again + 1]))
    runs = np.diff(flips, prepend=0, append=height * width)
    return runs if runs[-1] else runs[:-1]


def _text(runs: NDArray[np.int64]) -> str:
    """Run lengths in COCO's letters: from the fourth on the difference from the last but one.

    Each number is written in groups of 5 bits, the lowest first; the sixth bit says that another
    group follows. Letters begin at 48, which is "0".
    """
    numbers = runs.copy()
    numbers[3:] -= runs[1:-2]
    most = int(np.abs(numbers).max()).bit_length() // 5 + 1
    rests = numbers[:, None] >> (5 * np.arange(most + 1))
    groups = rests[:, :-1] & 31
    # A number ends where only its sign is left, and the last group's highest bit says that sign.
    more = np.where(groups & 16, rests[:, 1:] != -1, rests[:, 1:] != 0)
    written = np.pad(np.logical_and.accumulate(more, axis=1)[:, :-1], ((0, 0), (1, 0)))
    written[:, 0] = True
    letters = groups + 32 * more + 48
    return bytes(letters[written].astype(np.uint8)).decode("ascii")
