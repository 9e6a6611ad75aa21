"""The statistics of a picture: each of them, on pictures whose answer is known."""

import itertools

import numpy as np
import pytest
from PIL import Image

from inference.picture_statistics import COUNT, SIDE, picture_statistics

RINGS, ORIENTATIONS, LEVELS = slice(11, 19), slice(19, 27), slice(29, 34)


def statistics(pixels):
    return picture_statistics(Image.fromarray(np.asarray(pixels, dtype=np.uint8)))


def waves(periods, angle=0.0):
    """Grey waves over the picture, of so many periods along a side."""
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    wave = np.sin(2 * np.pi * periods * (x * np.cos(angle) + y * np.sin(angle)))
    return np.repeat((127.5 + 100 * wave)[..., None], 3, axis=2)


def test_are_34_finite_numbers_also_of_one_colour():
    for colour in ((0, 0, 0), (255, 255, 255), (200, 20, 90)):
        found = statistics(np.full((SIDE, SIDE, 3), colour))
        assert found.shape == (COUNT,)
        assert found.dtype == np.float32
        assert np.isfinite(found).all()


def test_colours_are_means_deviations_correlations_and_saturation():
    random = np.random.default_rng(1)
    pixels = random.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    pixels[..., 2] = pixels[..., 0] // 2
    # Of every other row; the odd ones are like them.
    pixels[1::2] = pixels[::2]
    values = pixels.reshape(-1, 3) / 255

    found = statistics(pixels)[:11]

    correlation = np.corrcoef(values.T)
    saturation = 1 - values.min(axis=1) / values.max(axis=1)
    expected = [
        *values.mean(axis=0),
        *values.std(axis=0),
        correlation[0, 1],
        correlation[1, 2],
        correlation[0, 2],
        saturation.mean(),
        saturation.std(),
    ]
    assert found == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("periods", "ring"), [(1, 0), (3, 1), (6, 2), (12, 3), (24, 4), (40, 5), (56, 6)]
)
def test_waves_have_their_power_in_the_ring_of_their_frequency(periods, ring):
    assert int(np.argmax(statistics(waves(periods))[RINGS])) == ring


def test_the_power_of_the_rings_is_that_of_the_whole_spectrum():
    pixels = np.random.default_rng(2).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    grey = np.asarray(Image.fromarray(pixels).convert("L")) / 255
    power = np.abs(np.fft.fft2(grey - grey.mean())) ** 2 / grey.size
    frequency = np.fft.fftfreq(SIDE, 1 / SIDE)
    radius = np.hypot(frequency[:, None], frequency[None])
    borders = (0, 2, 4, 8, 16, 32, 48, 64, 91)
    expected = [
        np.log(power[(radius >= low) & (radius < high)].mean())
        for low, high in itertools.pairwise(borders)
    ]

    assert statistics(pixels)[RINGS] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("degrees", [10, 35, 55, 80, 100, 125, 145, 170])
def test_waves_have_their_gradients_in_the_bin_of_their_direction(degrees):
    found = statistics(waves(6, np.radians(degrees)))[ORIENTATIONS]

    assert found.sum() == pytest.approx(1, abs=1e-5)
    assert found.max() > 0.9
    others = [
        statistics(waves(6, np.radians(other)))[ORIENTATIONS].argmax()
        for other in (10, 35, 55, 80, 100, 125, 145, 170)
        if other != degrees
    ]
    assert found.argmax() not in others


def test_levels_are_the_brightness_that_shares_of_the_pixels_do_not_exceed():
    ramp = np.tile(np.arange(SIDE) * 2, (SIDE, 1))
    found = statistics(np.repeat(ramp[..., None], 3, axis=2))[LEVELS]

    expected = np.quantile(ramp, [0.01, 0.25, 0.5, 0.75, 0.99]) / 255
    assert found == pytest.approx(expected, abs=0.011)


def test_a_small_and_a_large_copy_of_a_photo_have_nearly_the_same_colours():
    small = Image.fromarray(waves(2, 0.3).astype(np.uint8))
    large = small.resize((1700, 1300), Image.Resampling.BICUBIC)

    one, other = picture_statistics(small), picture_statistics(large)
    assert other[:11] == pytest.approx(one[:11], abs=0.01)
    assert other[LEVELS] == pytest.approx(one[LEVELS], abs=0.01)
