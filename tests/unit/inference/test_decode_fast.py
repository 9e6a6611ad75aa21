"""Scaled decoding of JPEG: less of the file's work, nearly the pixels of `exact`."""

from contextlib import suppress
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from export import photos
from inference.decode import decode
from inference.errors import RefusedError
from inference.resize import scaled_size
from inference.rules import DecodeRules
from pipelines.enums import Resize
from pipelines.load import load_spec
from pipelines.protocol import Refusal
from tests.photos import encoded, photo

EXACT = DecodeRules(56, 64, Resize.STRETCH, Image.Resampling.BILINEAR, 10**7, 10**7)
FAST = replace(EXACT, reserve=1)
CROP = replace(FAST, resize=Resize.CROP)


def both(data, rules=FAST):
    """The pixels by `fast` and by `exact`."""
    fast, exact = decode(data, rules), decode(data, replace(rules, reserve=None))
    assert fast.geometry == exact.geometry
    return fast.pixels.astype(int), exact.pixels.astype(int)


@pytest.mark.parametrize(
    ("size", "reserve", "decoded"),
    [
        ((640, 480), 1, (320, 240)),
        ((640, 480), 2, (640, 480)),  # 240 pixels are fewer than twice 224
        ((1920, 1080), 1, (480, 270)),
        ((1920, 1080), 2, (960, 540)),
        ((4000, 3000), 1, (500, 375)),
        ((3000, 4000), 3, (750, 1000)),
        ((448, 448), 1, (224, 224)),
        ((446, 446), 1, (446, 446)),
        ((1922, 1080), 1, (961, 540)),  # a quarter would leave a remainder
        ((1921, 1080), 1, (1921, 1080)),
        ((9999, 100), 1, (9999, 100)),
    ],
)
def test_the_size_is_the_smallest_that_leaves_enough_and_no_remainder(size, reserve, decoded):
    assert scaled_size(size, (224, 224), reserve) == decoded
    assert scaled_size(size[::-1], (224, 224), reserve) == decoded[::-1]


def test_a_target_that_is_not_square_is_reached_either_way_round():
    assert scaled_size((640, 480), (120, 240), 1) == (320, 240)
    assert scaled_size((640, 480), (240, 120), 1) == (320, 240)


@pytest.mark.parametrize("rules", [FAST, CROP], ids=lambda rules: rules.resize)
@pytest.mark.parametrize("orientation", [None, *range(1, 9)])
def test_a_photo_is_nearly_what_exact_makes_of_it(rules, orientation):
    fast, exact = both(encoded(photo(1, 640, 480), orientation=orientation), rules)
    assert (fast != exact).any(), "it was decoded whole"
    assert np.abs(fast - exact).mean() < 1
    # Neither darker nor shifted: a shift by half a pixel would differ by more than this.
    assert abs((fast - exact).mean()) < 0.1
    shifted = np.abs(np.roll(exact, 1, axis=1) - exact).mean() / 2
    assert np.abs(fast - exact).mean() < shifted


def test_more_reserve_comes_closer():
    data = encoded(photo(2, 1600, 1200))
    errors = [
        np.abs(np.subtract(*both(data, replace(FAST, reserve=reserve)))).mean()
        for reserve in (1, 3, 8, 16)
    ]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > errors[-1] == 0


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_grey_and_cmyk_photos_are_scaled_too(mode):
    fast, exact = both(encoded(photo(3, 640, 480).convert(mode)))
    assert 0 < np.abs(fast - exact).mean() < 1


def test_a_progressive_photo_and_the_first_of_several_frames_are_scaled_too():
    frames = [photo(4, 640, 480), photo(5, 640, 480)]
    file = BytesIO()
    frames[0].save(file, "MPO", save_all=True, append_images=frames[1:])
    progressive = BytesIO()
    frames[0].save(progressive, "JPEG", progressive=True)
    for data in (file.getvalue(), progressive.getvalue()):
        fast, exact = both(data)
        assert 0 < np.abs(fast - exact).mean() < 1


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "BMP", "TIFF"])
def test_another_format_is_decoded_as_by_exact(kind):
    fast, exact = both(encoded(photo(6, 640, 480), kind))
    np.testing.assert_array_equal(fast, exact)


@pytest.mark.parametrize("size", [(111, 640), (641, 480), (100, 80), (20, 10)])
def test_a_photo_that_cannot_shrink_is_decoded_as_by_exact(size):
    fast, exact = both(encoded(photo(7, *size)))
    np.testing.assert_array_equal(fast, exact)


@pytest.mark.parametrize("kept", [0.02, 0.3, 0.9])
def test_a_truncated_photo_is_refused_as_by_exact(kept):
    data = encoded(photo(8, 640, 480))
    for rules in (FAST, EXACT):
        with pytest.raises(RefusedError) as error:
            decode(data[: int(len(data) * kept)], rules)
        assert error.value.code is Refusal.IMAGE_UNDECODABLE


def test_limits_are_those_of_the_whole_photo():
    data = encoded(photo(9, 640, 480))
    with pytest.raises(RefusedError) as error:
        decode(data, replace(FAST, max_pixels=640 * 480 - 1))
    assert error.value.code is Refusal.IMAGE_TOO_LARGE
    with pytest.raises(RefusedError) as error:
        decode(data, replace(FAST, max_aspect=1.2))
    assert error.value.code is Refusal.IMAGE_SHAPE
    assert "640 x 480" in error.value.text


def test_bytes_gone_wrong_are_an_image_or_a_refusal_and_nothing_else():
    rng = np.random.default_rng(4)
    data = np.frombuffer(encoded(photo(10, 256, 192)), dtype=np.uint8)
    for _ in range(150):
        broken = data.copy()
        broken[rng.integers(0, len(data), 8)] = rng.integers(0, 256, 8)
        with suppress(RefusedError):
            assert decode(broken.tobytes(), FAST).pixels.shape == (56, 64, 3)


@pytest.mark.parametrize("resize", [Resize.STRETCH, Resize.CROP])
@pytest.mark.parametrize("orientation", [1, 6])
def test_the_gate_judges_the_pixels_that_are_served(tmp_path, resize, orientation):
    spec = load_spec("oral_cancer").model_dump(mode="json")
    spec["preprocessing"] |= {"decoding": "fast", "resize": resize, "reserve": 1}
    data = encoded(photo(11, 1024, 768), orientation=orientation)
    path = tmp_path / "photo.jpg"
    path.write_bytes(data)
    rules = DecodeRules.from_spec(spec)
    pixels = photos.read(path, rules)
    np.testing.assert_array_equal(pixels, decode(data, rules).pixels)
    assert not np.array_equal(pixels, photos.read(path, replace(rules, reserve=None)))
