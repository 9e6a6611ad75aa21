"""Photos from files: the very pixels that the service decodes."""

import numpy as np
import pytest
from PIL import Image

from export.photos import UnreadablePhotoError, files_below, read, readable, spread
from inference.decode import decode
from inference.rules import DecodeRules
from tests import photos

SHAPES = {
    "stretch": {"height": 32, "width": 48, "interpolation": "bilinear"},
    "crop": {"height": 33, "width": 48, "interpolation": "bicubic"},
    "letterbox": {"height": 41, "width": 48, "interpolation": "bilinear", "fill": 114},
    "none": {},
}


def rules(resize):
    shape = {"decoding": "exact", "resize": resize, **SHAPES[resize]}
    return DecodeRules.from_spec(
        {"preprocessing": shape, "limits": {"bytes": 10**7, "pixels": 10**7}}
    )


@pytest.mark.parametrize("resize", SHAPES)
def test_a_file_gives_the_pixels_that_the_service_sees(tmp_path, resize):
    files = [*photos.album(20), photos.encoded(photos.photo(3).convert("P"), "PNG")]
    for index, data in enumerate(files):
        path = tmp_path / f"{index}"
        path.write_bytes(data)
        np.testing.assert_array_equal(read(path, rules(resize)), decode(data, rules(resize)).pixels)


def test_deep_grey_is_read_as_by_the_service(tmp_path):
    path = tmp_path / "deep.png"
    Image.fromarray(np.full((9, 9), 40_000, np.uint16)).save(path)
    assert (read(path, rules("stretch")) == 40_000 >> 8).all()


def test_a_photo_that_the_service_refuses_is_refused_by_its_file(tmp_path):
    path = tmp_path / "large.png"
    Image.new("1", (4000, 4000)).save(path)
    with pytest.raises(UnreadablePhotoError, match=r"large\.png: the image is decoded to 4000"):
        read(path, rules("stretch"))


@pytest.mark.parametrize("data", [b"", b"notes", photos.encoded(photos.photo(1))[:900]])
def test_what_is_no_whole_photo_is_left_out(tmp_path, data):
    (tmp_path / "a.jpg").write_bytes(data)
    (tmp_path / "b.jpg").write_bytes(photos.encoded(photos.photo(1)))
    found = list(readable(files_below(tmp_path), rules("stretch")))
    assert [path.name for path, _ in found] == ["b.jpg"]


def test_hidden_files_are_no_photos(tmp_path):
    (tmp_path / "inner").mkdir()
    for name in (".DS_Store", "inner/b", "a"):
        (tmp_path / name).touch()
    assert [path.name for path in files_below(tmp_path)] == ["a", "b"]


def test_a_selection_is_evenly_spaced():
    assert spread(list(range(10)), 4) == [0, 3, 6, 9]
    assert spread(list(range(3)), 4) == [0, 1, 2]
    assert spread([], 4) == []
