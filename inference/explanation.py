"""Where members looked: what hiding one part of an image after the other changes in their scores.

Occlusion: each cell of a grid is painted over with the colour that training subtracts as its mean,
and the drop of the score is the cell's number. Source: Zeiler and Fergus, Visualizing and
Understanding Convolutional Networks, 2014, section 4.2. Whether that says anything is checked by
hiding the hottest cells together, after the deletion of Petsiuk, Das and Saenko, RISE, 2018,
section 4.4, beside as many other cells.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from inference.rules import Spec
from pipelines.derived import RANDOM_TENTHS
from pipelines.protocol import Faithfulness

LEAST_DROP = 0.05
"""Of the score, when the hottest tenth is hidden, for an explanation to be faithful."""
LEAST_RATIO = 2
"""So many times the drop of a random tenth it is then at least."""
_SEED = 74
"""The same random cells for every image: the same photo has the same answer."""

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Cells: TypeAlias = NDArray[np.intp]
"""Indices of cells, row by row from the upper left."""
Score: TypeAlias = Callable[[Sequence[NDArray[np.uint8]]], Float64]
"""Gives the scores, [M, n], that M members give to n views each: for each member [n, H, W, 3]."""


@dataclass(frozen=True)
class ExplanationRules:
    """How images are explained."""

    grid: int
    """Cells along each side."""
    colour: tuple[int, int, int]
    """Red, green and blue of what hides a cell."""
    seconds: float
    """How long an explanation may take."""

    @classmethod
    def from_spec(cls, spec: Spec) -> Self | None:
        """Reads `explanation`; None where the spec has none.

        Raises:
            KeyError, TypeError, ValueError: a fact is missing or no number.
        """
        facts = spec.get("explanation")
        if facts is None:
            return None
        red, green, blue = (round(255 * float(mean)) for mean in spec["preprocessing"]["mean"])
        return cls(int(facts["grid"]), (red, green, blue), float(facts["seconds"]))


@dataclass(frozen=True)
class Explanation:
    """Where M members looked in one image."""

    cells: Float32
    """[M, G, G], rows from the top: how far the member's score falls when the cell is hidden, in
    [-1, 1]. Below 0: it rises."""
    faithfulness: Float32
    """[M, 4], see `Faithfulness`."""


def explain(
    pixels: NDArray[np.uint8],
    scores: NDArray[np.floating[Any]],
    rules: ExplanationRules,
    score: Score,
    together: int,
) -> Explanation:
    """Explains the scores of one image.

    Args:
        pixels: of the image as the members see it, [H, W, 3].
        scores: what M members give to it, [M], in [0, 1].
        rules: how.
        score: asks the members.
        together: views in one call of it, at most.
    """
    whole = np.asarray(scores, dtype=np.float64)
    members, count = len(whole), rules.grid**2
    hiding = _Hiding(pixels, rules)

    def ask(hidden: Sequence[Sequence[Cells]]) -> Float64:
        """The scores [M, V] where cells are hidden, which each of V views has for each member."""
        parts = [
            score(hiding.views(hidden[start : start + together]))
            for start in range(0, len(hidden), together)
        ]
        return np.concatenate(parts, axis=1)

    drops = whole[:, None] - ask([[np.array([cell])] * members for cell in range(count)])
    # Of equal ones the first.
    order = np.argsort(-drops, axis=1, kind="stable")
    tenth = max(1, (count + 5) // 10)
    picked = np.random.default_rng(_SEED).permutation(count - tenth)[: RANDOM_TENTHS * tenth]
    tenths = [order[:, :tenth]]
    tenths += [order[:, tenth:][:, each] for each in np.split(picked, RANDOM_TENTHS)]
    hottest, *others = ask([list(chosen) for chosen in tenths]).T
    faithfulness = np.empty((members, len(Faithfulness)), np.float32)
    faithfulness[:, Faithfulness.SCORE] = whole
    faithfulness[:, Faithfulness.HOTTEST] = hottest
    faithfulness[:, Faithfulness.RANDOM] = np.mean(others, axis=0)
    faithfulness[:, Faithfulness.FAITHFUL] = _faithful(faithfulness)
    cells = drops.astype(np.float32).reshape(members, rules.grid, rules.grid)
    return Explanation(cells, faithfulness)


def _faithful(numbers: Float32) -> NDArray[np.bool_]:
    """By the numbers as they are answered, in FP32."""
    whole = numbers[:, Faithfulness.SCORE]
    lowered = whole - numbers[:, Faithfulness.HOTTEST]
    by_random = whole - numbers[:, Faithfulness.RANDOM]
    enough = lowered >= np.float32(LEAST_DROP)
    return np.asarray(enough & (lowered >= LEAST_RATIO * by_random))


class _Hiding:
    """Makes views of an image with some of its cells hidden."""

    def __init__(self, pixels: NDArray[np.uint8], rules: ExplanationRules) -> None:
        height, width = pixels.shape[:2]
        self._pixels, self._colour, self._grid = pixels, rules.colour, rules.grid
        # Where sides do not divide evenly, some cells are a pixel larger.
        self._rows = [height * edge // rules.grid for edge in range(rules.grid + 1)]
        self._columns = [width * edge // rules.grid for edge in range(rules.grid + 1)]

    def views(self, hidden: Sequence[Sequence[Cells]]) -> list[NDArray[np.uint8]]:
        """The views of each member, [n, H, W, 3], by the cells that each view hides from it."""
        return [
            np.stack([self._view(cells) for cells in each]) for each in zip(*hidden, strict=True)
        ]

    def _view(self, cells: Cells) -> NDArray[np.uint8]:
        view = self._pixels.copy()
        for row, column in zip(*np.divmod(cells, self._grid), strict=True):
            rows = slice(self._rows[row], self._rows[row + 1])
            columns = slice(self._columns[column], self._columns[column + 1])
            view[rows, columns] = self._colour
        return view
