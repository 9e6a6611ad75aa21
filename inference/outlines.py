"""Outlines of masks as polygons, by marching squares in NumPy.

Source: Lorensen and Cline, Marching Cubes, 1987, in two dimensions. A cell whose inner corners lie
opposite each other joins them where the mean of its four corners is inside, as contourpy does.
"""

import json

import numpy as np
from numpy.typing import NDArray

from inference.masks import Stretched

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
    loops = _loops(
        np.concatenate([[left], xs + 0.5, [right]]),
        np.concatenate([[top], ys + 0.5, [bottom]]),
        values,
    )
    return [
        np.round(points, _DECIMALS).reshape(-1).tolist() for points in loops if _area(points) > 0
    ]


def as_json(mask: Stretched) -> str:
    """The outlines as they travel."""
    return json.dumps(outlines(mask), separators=(",", ":"))


def _loops(
    xs: NDArray[np.float64], ys: NDArray[np.float64], values: NDArray[np.float64]
) -> list[NDArray[np.float64]]:
    """Closed lines [n, 2] at the level through values [ys, xs]; what is inside lies to the left.

    Each line crosses edges of the grid. An edge has the index of the point that it starts from:
    first the edges along x, then, behind all of those, the edges along y.
    """
    inside = values > _LEVEL
    following = _following(inside, values)
    at = _crossings(xs, ys, values, np.fromiter(following, np.int64, len(following)))
    places = dict(zip(following, at, strict=True))
    loops = []
    while following:
        edge, loop = next(iter(following)), []
        while edge in following:
            loop.append(places[edge])
            edge = following.pop(edge)
        loops.append(np.array(loop))
    return loops


def _following(inside: NDArray[np.bool_], values: NDArray[np.float64]) -> dict[int, int]:
    """For each edge that a line crosses, the one that it crosses next."""
    corners = np.stack([inside[:-1, :-1], inside[:-1, 1:], inside[1:, 1:], inside[1:, :-1]], -1)
    rows, columns = np.nonzero(corners.any(-1) & ~corners.all(-1))
    corners = corners[rows, columns]
    start, width = rows * inside.shape[1] + columns, inside.shape[1]
    # Once around the cell: along x, along y on its far side, along x, along y on its near side.
    edges = np.stack([start, inside.size + start + 1, start + width, inside.size + start], axis=-1)
    ahead = np.roll(corners, -1, axis=-1)
    leaving, entering = corners & ~ahead, ~corners & ahead
    following: dict[int, int] = {}
    one = leaving.sum(-1) == 1
    following.update(
        zip(edges[one][leaving[one]].tolist(), edges[one][entering[one]].tolist(), strict=True)
    )
    for cell in np.flatnonzero(~one):
        row, column = rows[cell], columns[cell]
        joined = values[row : row + 2, column : column + 2].mean() > _LEVEL
        for side in np.flatnonzero(leaving[cell]):
            other = (side + (1 if joined else -1)) % 4
            following[int(edges[cell, side])] = int(edges[cell, other])
    return following


def _crossings(
    xs: NDArray[np.float64],
    ys: NDArray[np.float64],
    values: NDArray[np.float64],
    edges: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Where lines cross edges, [n, 2]: linear between the edges' ends."""
    along_y, start = np.divmod(edges, values.size)
    row, column = np.divmod(start, values.shape[1])
    low, high = values[row, column], values[row + along_y, column + 1 - along_y]
    share = (high - _LEVEL) / (high - low)
    return np.stack(
        [
            xs[column] * share + xs[column + 1 - along_y] * (1 - share),
            ys[row] * share + ys[row + along_y] * (1 - share),
        ],
        axis=-1,
    )


def _area(points: NDArray[np.float64]) -> float:
    """Of a closed line, by the shoelace formula; below 0 for a hole."""
    x, y = points.T
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2
