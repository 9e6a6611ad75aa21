"""Simulated weeks of a clinic: what the audit log's rows would say of its photos and answers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Row = tuple[Mapping[str, Any], int, str, Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Week:
    """How a week differs from the usual ones.

    Attributes:
        photos: How many there are.
        brighter: How far the brightness has moved, in its standard deviations.
        extremes: Whether photos have dark or overexposed pixels, as of scenes with great contrast.
        blurred: Share of the sharpness that a blurring camera takes away, 0 to 1, at every photo.
        surer: How far the answers' log odds have moved; the photos are as ever.
    """

    photos: int = 500
    brighter: float = 0.0
    extremes: bool = True
    blurred: float = 0.0
    surer: float = 0.0


def rows(rng: np.random.Generator, week: Week = Week()) -> Iterator[Row]:
    """Rows as `releases.drift.figures.collect` takes them.

    Brightness has a mean of 110 and a standard deviation of 25 levels of 255. A brighter photo has
    fewer dark pixels, and more that are overexposed. Most photos of a good camera have next to none
    of either, and some have many.
    """
    count = week.photos
    bright = rng.normal(week.brighter, 1, count)
    brightness = (110 + 25 * bright).clip(0, 255)
    dark_share = _share(-2.5 - 1.2 * bright + rng.normal(0, 0.6, count))
    bright_share = _share(-4.5 + 1.2 * bright + rng.normal(0, 0.6, count))
    sharpness = rng.lognormal(4.0, 0.6, count) * (1 - week.blurred)
    blocking = rng.lognormal(0.0, 0.1, count)
    size = rng.lognormal(14.5, 0.4, count)
    kinds = rng.choice(["jpeg", "png"], count, p=[0.95, 0.05]).tolist()
    odds = rng.normal(-0.5, 2.0, count) + week.surer
    cancer = _share(odds)
    apart = np.abs(rng.normal(0, 0.1, count))
    typicality = rng.random(count)
    for place in range(count):
        positive = bool(cancer[place] >= 0.5)  # noqa: PLR2004 - the threshold
        level = "low" if apart[place] < 0.15 else "medium" if apart[place] < 0.35 else "high"  # noqa: PLR2004
        yield (
            {
                "prediction": "cancer" if positive else "healthy",
                "confidence": float(cancer[place] if positive else 1 - cancer[place]),
                "uncertainty": {"level": level, "disagreement": float(apart[place])},
                "input": {"typicality": float(typicality[place])},
                "quality": {
                    "sharpness": float(sharpness[place]),
                    "dark_share": float(dark_share[place]) if week.extremes else 0.0,
                    "bright_share": float(bright_share[place]) if week.extremes else 0.0,
                    "resolution": 8.0,
                    "blocking": float(blocking[place]),
                    "colour_shift": 0.0,
                    "brightness": float(brightness[place]),
                },
            },
            int(size[place]),
            kinds[place],
            {},
        )


def _share(odds: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    return 1 / (1 + np.exp(-odds))
