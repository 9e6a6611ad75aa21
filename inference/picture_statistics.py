"""34 numbers that say what a picture looks like: colours, frequencies, gradients, brightness.

`inference.typicality` compares them with those of the photos that a model learnt from. A network's
own features leave out what its task does not need, so noise may have the features of a photo;
these numbers leave out nothing of that kind.
"""

import math
from bisect import bisect_left
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray
from PIL import Image

COUNT = 34
SIDE = 128
"""Pixels of the copy that is measured, along both sides."""
_RINGS = (0, 2, 4, 8, 16, 32, 48, 64, 91)
"""Borders of the rings of the spectrum, in periods along a side; 91 is above the corner's."""
_ORIENTATIONS = 8
_TAN = np.float32(np.sqrt(2) - 1)
"""Of 22.5 degrees, the width of one bin of orientations."""
_GRADIENT_SHARE = 0.99
_BRIGHTNESS_SHARES = (0.01, 0.25, 0.5, 0.75, 0.99)
_COLUMNS = 124
"""That gradients are put into to find the strongest ones, of which there are fewer."""
_LEVEL = np.float32(1 / 255)
_EQUAL = np.full(SIDE * SIDE // 2, 2 / SIDE**2, np.float32)
"""Times values, their mean."""
_LEAST = np.float32(1e-6)
"""Keeps logarithms finite; a hundredth of what one grey level of one pixel adds."""


def picture_statistics(image: Image.Image) -> NDArray[np.float32]:
    """The statistics of one image, FP32 [34], from a copy of 128 x 128 pixels.

    Values are in [0, 1] where pixels are meant. In this order: means and standard deviations of
    red, green and blue; the correlations of red and green, green and blue, red and blue (0 where
    one does not vary); mean and standard deviation of the saturation, (max - min) / max; the
    natural logarithm of the mean power in eight rings of the spectrum of the brightness (ITU-R
    BT.601); the share of each of eight orientations of the gradient, weighted by its strength; the
    logarithms of the gradient's mean and of its 99th percentile; the brightness that 1, 25, 50, 75
    and 99 % of the pixels do not exceed.

    Args:
        image: RGB, upright, as quality is measured on it: resized for the members, without a
            letterbox's border. So the cost does not depend on the photo's size, and `fast` decoding
            gives nearly the same numbers as `exact`.
    """
    # The nearest pixels: means of areas cost as much as all the statistics, and hide noise.
    copy = image.resize((SIDE, SIDE), Image.Resampling.NEAREST)
    grey = copy.convert("L")
    # Not multiplied by the inverse: rounding decides between gradients that are nearly alike.
    brightness = np.asarray(grey) / np.float32(255)
    return np.array(
        [*_colours(copy), *_rings(brightness), *_gradients(brightness), *_levels(grey)], np.float32
    )


def _colours(copy: Image.Image) -> list[float]:
    """Means, deviations and correlations of the channels, mean and deviation of the saturation.

    Of every other row.
    """
    half = copy.resize((SIDE, SIDE // 2), Image.Resampling.NEAREST)
    # Channel by channel, as rows of 3 numbers are slow; so is a product of matrices of 3 rows.
    red, green, blue = channels = np.ascontiguousarray(np.asarray(half).reshape(-1, 3).T)
    largest = np.maximum(np.maximum(red, green), blue)
    smallest = np.minimum(np.minimum(red, green), blue)
    values = np.empty((4, red.size), np.float32)
    np.multiply(channels, _LEVEL, out=values[:3])
    np.divide(largest - smallest, np.maximum(largest, 1), out=values[3], dtype=np.float32)
    means = values @ _EQUAL
    values -= means[:, None]
    deviations = [math.sqrt(float(each @ each) / red.size) for each in values]
    correlations = []
    for one, other in ((0, 1), (1, 2), (0, 2)):
        both = deviations[one] * deviations[other]
        product = float(values[one] @ values[other]) / red.size
        # Below a thousandth of a grey level a deviation is rounding.
        correlations.append(product / both if both > _LEAST**2 else 0.0)
    return [*means[:3], *deviations[:3], *correlations, means[3], deviations[3]]


def _rings(brightness: NDArray[np.float32]) -> NDArray[np.float64]:
    """Log mean power of each ring of the spectrum; the mean brightness has no part in it."""
    # As np.fft.rfft2, but for a copy: a row of the result is a column of the spectrum.
    spectrum = np.fft.fft(np.fft.rfft(brightness), axis=0).T.reshape(-1)
    spectrum[0] = 0
    power = (spectrum.real**2 + spectrum.imag**2) * _SHARES
    return np.asarray(np.log(np.add.reduceat(power[_BY_RING], _STARTS) + _LEAST))


def _gradients(brightness: NDArray[np.float32]) -> list[float]:
    """Shares of the orientations, and logarithms of the strength's mean and 99th percentile.

    Of every other row.
    """
    # Central differences, along x and y.
    x = (brightness[1:-1:2, 2:] - brightness[1:-1:2, :-2]).reshape(-1)
    y = (brightness[2::2, 1:-1] - brightness[:-2:2, 1:-1]).reshape(-1)
    strength = np.sqrt(x * x + y * y)
    across, up = np.abs(x), np.abs(y)
    # The bin by comparisons alone, as an arctangent costs ten times as much: which of both is the
    # larger one, whether by more than 67.5 degrees, and whether they have the same sign.
    steep = up > across
    near = np.minimum(across, up) > _TAN * np.maximum(across, up)
    bins = 4 * (x * y < 0).view(np.uint8) + 2 * steep.view(np.uint8) + near.view(np.uint8)
    sums = np.bincount(bins, weights=strength, minlength=_ORIENTATIONS)
    whole = sums.sum()
    shares = sums / whole if whole > 0 else np.full(_ORIENTATIONS, 1 / _ORIENTATIONS)
    strongest = _largest(strength, strength.size - round(_GRADIENT_SHARE * (strength.size - 1)))
    return [*shares, np.log(strength.mean() + _LEAST), np.log(strongest + _LEAST)]


def _largest(values: NDArray[np.float32], place: int) -> float:
    """The value at this place, from 1 to `_COLUMNS`, of values in descending order."""
    # So many columns have a value that is not below `least`, so what is below it cannot be meant.
    # To order the rest takes a third of the time that ordering all takes.
    largest = values[: values.size // _COLUMNS * _COLUMNS].reshape(-1, _COLUMNS).max(axis=0)
    least = np.partition(largest, _COLUMNS - place)[_COLUMNS - place]
    candidates = values[values >= least]
    return float(np.partition(candidates, candidates.size - place)[candidates.size - place])


def _levels(grey: Image.Image) -> list[float]:
    """The brightness that given shares of the pixels do not exceed, in [0, 1]."""
    reached = list(accumulate(grey.histogram()))
    return [bisect_left(reached, share * reached[-1]) / 255 for share in _BRIGHTNESS_SHARES]


def _ring_of() -> NDArray[np.intp]:
    """The ring of each number of a real spectrum, column by column, [(SIDE / 2 + 1) * SIDE]."""
    y, x = np.fft.fftfreq(SIDE, 1 / SIDE), np.fft.rfftfreq(SIDE, 1 / SIDE)
    return np.digitize(np.hypot(y[None], x[:, None]).reshape(-1), _RINGS) - 1


_RING_OF = _ring_of()
_BY_RING = np.argsort(_RING_OF, kind="stable")
_STARTS = np.searchsorted(_RING_OF[_BY_RING], np.arange(len(_RINGS) - 1))
_TIMES = np.repeat(np.where(np.arange(SIDE // 2 + 1) % (SIDE // 2) > 0, 2.0, 1.0), SIDE)
"""How often the whole spectrum has each number of the half that a real image needs."""
_SHARES = _TIMES / np.bincount(_RING_OF, weights=_TIMES)[_RING_OF] / SIDE**2
"""What each number of that half adds to the mean power of its ring."""
