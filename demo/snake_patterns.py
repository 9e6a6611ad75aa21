"""The skin patterns of ten snake species, on the flattened skin.

After the animals' own: an adder's zigzag, a grass snake's collar, the rings of a coral snake and
of the harmless one that imitates it. Each has a body colour of its own, clearer than in nature, so
that a network learns them from nothing in minutes.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from demo.noise import Plane

Colour = tuple[int, int, int]
Pattern = Callable[[Plane, Plane, Plane], list[tuple[Colour, Plane]]]
"""From the place along the body in periods, the place across it in [-1, 1] and the distance from
the snout in half widths: layers of a colour and where it covers, in [0, 1]; later ones on top."""
# Width of a marking's soft edge, in periods or half widths.
_EDGE = 0.12
_DARK, _BLACK, _PALE, _YELLOW = (48, 38, 30), (28, 25, 26), (214, 196, 158), (232, 204, 66)


@dataclass(frozen=True)
class Markings:
    """How one species is coloured."""

    ground: Colour
    """Of the body between the markings."""
    period: float
    """After how many half widths the pattern comes again."""
    pattern: Pattern


def _where(inside: NDArray[np.float32 | np.float64]) -> Plane:
    """1 where positive, 0 where negative, with a soft edge."""
    return np.asarray((inside / _EDGE + 0.5).clip(0, 1), np.float32)


def _cycle(along: Plane) -> Plane:
    """Place within a period, in [-0.5, 0.5)."""
    return np.asarray(along - np.floor(along + np.float32(0.5)), np.float32)


def _zigzag(along: Plane, across: Plane, _snout: Plane) -> list[tuple[Colour, Plane]]:
    centre = (4 * np.abs(_cycle(along)) - 1) * 0.38
    return [(_DARK, _where(0.27 - np.abs(across - centre)))]


def _alternating_bars(along: Plane, across: Plane, _snout: Plane) -> list[tuple[Colour, Plane]]:
    bar = 0.19 - np.abs(_cycle(along + np.where(across > 0, np.float32(0.5), np.float32(0))))
    return [(_DARK, _where(bar) * _where(np.abs(across) - 0.06))]


def _collar_and_flank_spots(
    along: Plane, across: Plane, snout: Plane
) -> list[tuple[Colour, Plane]]:
    spot = np.minimum(0.17 - np.abs(_cycle(along)), np.abs(across) - 0.45)
    return [
        (_BLACK, _where(spot)),
        (_YELLOW, _where(0.5 - np.abs(snout - 3.2))),
        (_BLACK, _where(0.35 - np.abs(snout - 4.1))),
    ]


def _paired_dots(along: Plane, across: Plane, _snout: Plane) -> list[tuple[Colour, Plane]]:
    distance = np.hypot(_cycle(along) / 0.24, (np.abs(across) - 0.4) / 0.24)
    return [(_DARK, _where((1 - distance) * 0.3))]


def _plain(_along: Plane, _across: Plane, _snout: Plane) -> list[tuple[Colour, Plane]]:
    return []


def _four_stripes(_along: Plane, across: Plane, _snout: Plane) -> list[tuple[Colour, Plane]]:
    return [(_DARK, _where(0.1 - np.abs(np.abs(np.abs(across) - 0.48) - 0.25)))]


def _rings_red_on_yellow(along: Plane, _across: Plane, _snout: Plane) -> list[tuple[Colour, Plane]]:
    place = np.abs(_cycle(along))
    return [(_YELLOW, _where(place - 0.2)), (_BLACK, _where(place - 0.32))]


def _rings_red_on_black(along: Plane, _across: Plane, _snout: Plane) -> list[tuple[Colour, Plane]]:
    place = np.abs(_cycle(along))
    return [(_BLACK, _where(place - 0.22)), (_YELLOW, _where(place - 0.37))]


def _diamonds(along: Plane, across: Plane, _snout: Plane) -> list[tuple[Colour, Plane]]:
    inside = 1 - 2 * np.abs(_cycle(along)) - np.abs(across)
    return [(_PALE, _where(inside + 0.08)), (_DARK, _where(inside - 0.16))]


def _saddles(along: Plane, across: Plane, _snout: Plane) -> list[tuple[Colour, Plane]]:
    distance: Plane = np.hypot(_cycle(along) / 0.34, across / 0.72)
    return [(_BLACK, _where(1 - distance)), ((150, 42, 24), _where(0.72 - distance))]


MARKINGS = (
    Markings((48, 150, 138), 2.6, _zigzag),
    Markings((142, 78, 30), 2.2, _alternating_bars),
    Markings((56, 140, 44), 1.7, _collar_and_flank_spots),
    Markings((196, 92, 152), 1.9, _paired_dots),
    Markings((160, 158, 12), 2.0, _plain),
    Markings((240, 222, 150), 2.0, _four_stripes),
    Markings((196, 30, 44), 4.6, _rings_red_on_yellow),
    Markings((206, 84, 30), 4.2, _rings_red_on_black),
    Markings((70, 112, 190), 2.6, _diamonds),
    Markings((248, 164, 20), 2.7, _saddles),
)
"""In the order of the classes of `snake_species`."""
