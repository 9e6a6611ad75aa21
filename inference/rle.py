"""Masks as COCO's run-length encoding, without an image of each."""

import json

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from inference.masks import Window


def encode(window: Window, frame: tuple[int, int]) -> str:
    """JSON {"size": [height, width], "counts": text} of a mask in an image of the size `frame`."""
    height, width = frame
    runs = {"size": [height, width], "counts": _runs(window, height, width).tolist()}
    compressed = coco.frPyObjects(runs, height, width)
    counts = compressed["counts"].decode("ascii")
    return json.dumps({"size": [height, width], "counts": counts})


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
