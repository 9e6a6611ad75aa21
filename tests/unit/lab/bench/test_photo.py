"""The decode step of all contenders is the one that Triton runs."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from inference.decode import decode
from inference.recipe import Recipe
from lab.bench import photo
from lab.bench.workload import PIPELINE
from pipelines.enums import Decoding
from pipelines.load import load_spec

SPEC = load_spec(PIPELINE)
THEIRS = Recipe.from_json(SPEC.preprocessing.model_dump_json(), SPEC.limits.model_dump_json())
OURS = photo.Recipe(224, 224, "bilinear")


def jpeg(mode="RGB", size=(640, 480), orientation=None):
    bands = len(Image.new(mode, (1, 1)).getbands())
    random = np.random.default_rng(7)
    coarse = random.integers(0, 256, (12, 16, bands), dtype=np.uint8)
    layers = [Image.fromarray(coarse[..., band]).resize(size) for band in range(bands)]
    image = Image.merge(mode, layers) if bands > 1 else layers[0]
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    file = BytesIO()
    image.save(file, "JPEG", quality=90, exif=exif)
    return file.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("size", [(640, 480), (301, 223), (17, 1000)])
@pytest.mark.parametrize("orientation", [None, 6])
def test_exact_is_what_triton_decodes_bit_for_bit(mode, size, orientation):
    data = jpeg(mode, size, orientation)
    assert np.array_equal(photo.decode(data, OURS), decode(data, THEIRS).pixels)


@pytest.mark.parametrize("size", [(1920, 1440), (2400, 1808), (640, 480)])
def test_fast_is_what_triton_decodes_bit_for_bit(size):
    fast = SPEC.preprocessing.model_copy(update={"decoding": Decoding.FAST})
    theirs = Recipe.from_json(fast.model_dump_json(), SPEC.limits.model_dump_json())
    ours = photo.Recipe(224, 224, "bilinear", reserve=fast.reserve)
    data = jpeg(size=size)
    pixels = photo.decode(data, ours)
    assert np.array_equal(pixels, decode(data, theirs).pixels)
    assert np.array_equal(pixels, photo.decode(data, OURS)) == (size == (640, 480))


def test_what_is_no_jpeg_is_refused():
    with pytest.raises(OSError, match="cannot identify"):
        photo.decode(b"no photo", OURS)
