"""JPEG: what libjpeg would conceal is refused, and every sound variation is read as before."""

import re
import struct
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inference.decode import decode
from inference.errors import RefusedError
from inference.rules import DecodeRules
from pipelines.enums import Resize
from pipelines.protocol import Refusal
from tests.photos import photo

IMAGES = Path(__file__).parents[2] / "images"
SOUND = sorted((IMAGES / "jpeg").glob("*.jpg"))
"""Of cjpeg, jpegtran and jpegoptim; Pillow's own are made below."""
WHOLE = DecodeRules(0, 0, Resize.NONE, Image.Resampling.NEAREST, 10**8, 10**8)
SMALL = DecodeRules(16, 16, Resize.STRETCH, Image.Resampling.BILINEAR, 10**8, 10**8)
FAST = replace(SMALL, reserve=1)


def encoded(size=(200, 152), mode="RGB", **options):
    file = BytesIO()
    photo(3, *size).convert(mode).save(file, "JPEG", **{"quality": 90} | options)
    return file.getvalue()


def by_pillow(data):
    """The pixels of the training recipe, and no others."""
    return np.asarray(Image.open(BytesIO(data)).convert("RGB"))


def refused(data):
    """The refusal, which all ways to decode give."""
    for rules in (WHOLE, SMALL, FAST):
        with pytest.raises(RefusedError) as error:
            decode(data, rules)
        assert error.value.code is Refusal.IMAGE_UNDECODABLE
    return error.value.text


def scan_of(data):
    """Where the entropy-coded data of the first scan begin."""
    start = data.index(b"\xff\xda")
    return start + 2 + int.from_bytes(data[start + 2 : start + 4])


VARIATIONS = {
    "baseline": {},
    "progressive": {"progressive": True},
    "optimised": {"optimize": True},
    "444": {"subsampling": 0},
    "422": {"subsampling": 1},
    "420": {"subsampling": 2},
    "restarts": {"restart_marker_rows": 1},
    "restarts of blocks": {"restart_marker_blocks": 3, "progressive": True},
    "grey": {"mode": "L"},
    "cmyk": {"mode": "CMYK"},
    "cmyk progressive": {"mode": "CMYK", "progressive": True},
    "rgb": {"keep_rgb": True},
    "quality 1": {"quality": 1},
    "quality 100": {"quality": 100},
    "one pixel": {"size": (1, 1)},
    "odd": {"size": (67, 131)},
    "12 megapixels": {"size": (4000, 3000)},
    "comment and profile": {"comment": b"x" * 500, "icc_profile": b"y" * 70_000},
}
SOUND_FILES = [
    pytest.param(path.read_bytes(), id=path.stem) for path in SOUND if "arithmetic" not in path.stem
]
MADE = [pytest.param(encoded(**options), id=name) for name, options in VARIATIONS.items()]


@pytest.mark.parametrize("data", [*SOUND_FILES, *MADE])
def test_a_sound_file_is_read_to_the_pixels_of_pillow(data):
    np.testing.assert_array_equal(decode(data, WHOLE).pixels, by_pillow(data))
    decode(data, FAST)


@pytest.mark.parametrize("path", [path for path in SOUND if "arithmetic" in path.stem])
def test_arithmetic_coding_does_not_show_missing_data_and_is_refused(path):
    assert "arithmetic" in refused(path.read_bytes())


def test_the_collection_is_there():
    assert len(SOUND) == 22


@pytest.mark.parametrize("name", ["cancer_cut8_eoi", "two_jpegs_spliced"])
def test_a_file_that_was_answered_as_healthy_is_refused(name):
    assert "end too early" in refused((IMAGES / f"{name}.jpg").read_bytes())


@pytest.mark.parametrize("data", [*SOUND_FILES, *MADE[:14]])
@pytest.mark.parametrize("kept", [0.08, 0.5, 0.9])
def test_a_scan_that_ends_early_is_refused_with_and_without_an_end_marker(data, kept):
    start = scan_of(data)
    cut = data[: start + int((len(data) - start) * kept)].rstrip(b"\xff")
    refused(cut)
    refused(cut + b"\xff\xd9")
    refused(cut + b"\xff\xd9" + b"MotionPhoto_Data" + bytes(100))


def test_restart_segments_that_are_missing_or_doubled_are_refused():
    data = encoded(restart_marker_rows=1)
    markers = [found.start() for found in re.finditer(rb"\xff[\xd0-\xd7]", data)]
    one, two, three = markers[2:5]
    refused(data[:one] + data[two:])
    refused(data[:one] + data[three:])
    refused(data[:two] + data[one:])
    refused(data[: one + 2] + data[two:])


def test_two_halves_of_different_photos_are_refused():
    other = BytesIO()
    photo(9, 200, 152).save(other, "JPEG", quality=70)
    first, second = encoded(), other.getvalue()
    refused(first[: len(first) // 2] + second[len(second) // 2 :])
    refused(first[: len(first) // 2] + second)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}])
def test_a_stretch_of_the_scan_gone_wrong_is_refused(options):
    data = encoded(**options)
    start = scan_of(data)
    random = np.random.default_rng(5)
    for place in random.integers(start, len(data) - 2002, 20):
        broken = data[:place] + bytes(2000) + data[place + 2000 :]
        refused(broken)


def test_a_photo_without_its_end_marker_has_all_its_rows_and_is_read():
    for options in ({}, {"progressive": True}, {"mode": "CMYK"}, {"mode": "L"}):
        data = encoded(**options)
        assert data.endswith(b"\xff\xd9")
        np.testing.assert_array_equal(decode(data[:-2], WHOLE).pixels, by_pillow(data))


@pytest.mark.parametrize(
    "trailer",
    [b"\0" * 3000, b"MotionPhoto_Data" + b"\0\0\0\x18ftypmp42" + bytes(99), encoded(size=(9, 9))],
)
def test_what_follows_the_end_marker_is_ignored(trailer):
    data = encoded()
    np.testing.assert_array_equal(decode(data + trailer, WHOLE).pixels, by_pillow(data))


@pytest.mark.parametrize("padding", [b"\0", b"\0" * 300, b"\xff" * 7, b"U" * 12])
def test_a_scan_that_is_filled_up_before_the_end_marker_is_read(padding):
    data = encoded()
    padded = data[:-2] + padding + data[-2:]
    np.testing.assert_array_equal(decode(padded, WHOLE).pixels, by_pillow(data))


def test_data_of_no_row_before_the_end_marker_are_refused():
    data = encoded()
    start = scan_of(data)
    refused(data[:-2] + data[start : start + 50] + data[-2:])


def test_metadata_that_libjpeg_does_not_know_are_no_fault():
    data = encoded()
    jfif = data.index(b"JFIF\0") + 5
    strange = data[:jfif] + b"\x07\x07" + data[jfif + 2 :]
    np.testing.assert_array_equal(decode(strange, WHOLE).pixels, by_pillow(data))
    refused(strange[: len(strange) // 2] + b"\xff\xd9")
    np.testing.assert_array_equal(decode(strange[:-2], WHOLE).pixels, by_pillow(data))


def test_sampling_that_cannot_be_checked_is_refused_with_the_remedy():
    data = bytearray(encoded(subsampling=0))
    frame = data.index(b"\xff\xc0")
    assert struct.unpack_from(">H", data, frame + 5) == (152,)
    data[frame + 11] = 0x31
    assert "sampling" in refused(bytes(data))
