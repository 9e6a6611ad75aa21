"""Pillow images and arrays are sent as lossless PNG, and what PNG cannot hold is refused."""

import io

import numpy as np
import pytest
from PIL import Image
from secondopinion._images import read

RANDOM = np.random.default_rng(1).integers(0, 256, (5, 7, 3), dtype=np.uint8)
ORIENTATION = 0x0112


def sent(image) -> Image.Image:
    content = read(image)
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    return Image.open(io.BytesIO(content))


def test_an_array_arrives_bit_for_bit():
    assert np.array_equal(np.asarray(sent(RANDOM)), RANDOM)
    assert np.array_equal(np.asarray(sent(RANDOM[:, ::-1])), RANDOM[:, ::-1])


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_a_pillow_image_arrives_bit_for_bit(mode):
    if mode == "I;16":
        image = Image.fromarray(np.arange(35, dtype=np.uint16).reshape(5, 7) * 1000)
    else:
        image = Image.fromarray(RANDOM).convert(mode)
    found = sent(image)
    assert found.mode == mode
    assert np.array_equal(np.asarray(found), np.asarray(image))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_opened_photo_is_sent_upright_as_its_file_is_read(orientation, tmp_path):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    image = Image.fromarray(RANDOM)
    image.save(tmp_path / "a.png", exif=exif)
    upright = {
        1: RANDOM,
        2: RANDOM[:, ::-1],
        3: RANDOM[::-1, ::-1],
        4: RANDOM[::-1],
        5: RANDOM.transpose(1, 0, 2),
        6: np.rot90(RANDOM, -1),
        7: RANDOM[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(RANDOM),
    }
    found = sent(Image.open(tmp_path / "a.png"))
    assert ORIENTATION not in found.getexif()
    assert np.array_equal(np.asarray(found), upright[orientation])


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "HSV", "LAB", "F", "I"])
def test_a_mode_that_png_cannot_hold_is_refused_with_the_remedy(mode):
    image = Image.new(mode, (7, 5))
    with pytest.raises(ValueError, match=rf'mode {mode} would lose.*convert\("RGB"\)'):
        read(image)


@pytest.mark.parametrize(
    "array",
    [
        RANDOM.astype(np.float32) / 255,
        RANDOM.astype(np.uint16),
        RANDOM[..., 0],
        RANDOM[None],
        RANDOM.transpose(2, 0, 1),
    ],
    ids=["float", "uint16", "grey", "batch", "channels first"],
)
def test_another_array_is_refused_by_its_type_and_shape(array):
    with pytest.raises(ValueError, match=rf"uint8 RGB \[H, W, 3\], not {array.dtype} \["):
        read(array)


def test_both_clients_take_them(ask, service):
    service.replies.clear()
    for image in (RANDOM, Image.fromarray(RANDOM)):
        with pytest.raises(Exception, match="no image"):
            ask("predict", image)
    assert [seen.body for seen in service.asked] == [read(RANDOM)] * 2


@pytest.mark.parametrize("image", [7, None, object(), [[1, 2, 3]]])
def test_what_is_no_image_is_a_type_error(image):
    with pytest.raises(TypeError, match="an image is a path, bytes"):
        read(image)
