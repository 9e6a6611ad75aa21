"""What would cost too much to decode is refused by its header, before Pillow reads it."""

import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from inference import decode as decoding
from inference.decode import decode, inspect
from inference.errors import RefusedError
from inference.rules import DecodeRules
from pipelines.decoding_limits import DecodingLimits
from pipelines.formats import ImageFormat
from pipelines.load import load_spec
from pipelines.protocol import Refusal
from tests import attack_images, photos

RULES = DecodeRules.from_spec(load_spec("oral_cancer").model_dump(mode="json"))
LIMITS = DecodingLimits()
MANY = {
    "scans of a JPEG": (attack_images.jpeg_of_scans(LIMITS.scans + 1), "scans"),
    "segments of a JPEG": (attack_images.jpeg_of_segments(370_000), "segments"),
    "EXIF tags of a JPEG": (
        photos.encoded(photos.photo(1))[:2]
        + b"\xff\xe1\x3f\x00"
        + attack_images.exif_of_tags(1300).ljust(0x3EFE, b"\0")
        + photos.encoded(photos.photo(1))[2:],
        "tags",
    ),
    "EXIF tags of a PNG": (
        attack_images.png(8, 8, attack_images.chunk(b"eXIf", attack_images.exif_of_tags(60_000))),
        "tags",
    ),
    "EXIF tags of a WebP": (
        attack_images.webp_canvas(8, 8, (b"EXIF", attack_images.exif_of_tags(60_000))),
        "tags",
    ),
    "tags of a TIFF": (attack_images.tiff_of_tags(60_000), "tags"),
    "strips of a TIFF": (attack_images.tiff_of_strips(1_200_000), "strips"),
    "chunks of a PNG": (attack_images.png_of_chunks(700_000), "chunks"),
    "frames of a PNG": (attack_images.png_of_frames(100_000), "frames"),
    "chunks of a WebP": (attack_images.riff(*[(b"ABCD", b"")] * 700_000), "chunks"),
    "frames of a WebP": (attack_images.webp_canvas(8, 8, *[(b"ANMF", b"")] * 2000), "frames"),
    "blocks of a GIF": (attack_images.gif_of_blocks(1_000_000), "blocks"),
    "items of an AVIF": (attack_images.heif_of_items(b"avif", 100_000), "items"),
    "items of a HEIC": (attack_images.heif_of_items(b"heic", 100_000), "items"),
}


@pytest.fixture
def unopened(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow does not get to see the file."""

    def opened(_: bytes) -> Image.Image:
        raise AssertionError("Pillow was asked")

    monkeypatch.setattr(decoding, "open_image", opened)


def refused(data: bytes, rules: DecodeRules = RULES) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        decode(data, rules)
    return caught.value


@pytest.mark.usefixtures("unopened")
@pytest.mark.parametrize(("data", "parts"), MANY.values(), ids=MANY.keys())
def test_a_file_of_too_many_parts_is_refused_before_it_is_opened(data, parts):
    error = refused(data)
    assert error.code is Refusal.IMAGE_TOO_COSTLY
    assert re.search(rf"more than \d+ .*{parts}.* Save it again as a common JPEG", error.text)


@pytest.mark.usefixtures("unopened")
def test_run_lengths_of_a_bmp_are_refused_before_it_is_opened():
    error = refused((attack_images.ATTACKS / "bmp_eol1.bmp").read_bytes())
    assert error.code is Refusal.IMAGE_UNDECODABLE
    assert "run-length" in error.text


@pytest.mark.usefixtures("unopened")
def test_a_bmp_without_its_pixels_is_refused_before_memory_is_taken_for_them():
    whole = photos.encoded(photos.photo(1), "BMP")
    assert "data end too early" in refused(whole[:-300]).text


@pytest.mark.usefixtures("unopened")
@pytest.mark.parametrize("side", [10_000, 16_384])
def test_a_canvas_beyond_the_limit_is_refused_before_memory_is_taken_for_it(side):
    assert refused(attack_images.webp_canvas(side, side)).code is Refusal.IMAGE_TOO_LARGE


@pytest.mark.usefixtures("unopened")
def test_an_image_whose_decoding_takes_too_much_memory_is_refused_by_its_header():
    data = (attack_images.ATTACKS / "webp_rgba.webp").read_bytes()
    error = refused(data, replace(RULES, limits=DecodingLimits(decoded_bytes=2**29)))
    assert error.code is Refusal.IMAGE_TOO_LARGE
    assert "bytes of memory" in error.text


@pytest.mark.usefixtures("unopened")
def test_junk_before_the_picture_of_a_jpeg_is_refused_before_pillow_skips_it():
    photo = photos.encoded(photos.photo(1))
    assert refused(photo[:20] + b"x" * 5_000_000 + photo[20:]).code is Refusal.IMAGE_UNDECODABLE


def test_scans_in_what_follows_the_picture_or_in_its_metadata_do_not_count():
    scans = attack_images.jpeg_of_scans(LIMITS.scans // 2)
    comment = b"\xff\xfe\xff\xff" + b"\xff\xda" * 32_766 + b"x"
    data = scans[:2] + comment + scans[2:] + scans * 3
    assert decode(data, RULES).pixels.shape == (224, 224, 3)


@pytest.mark.parametrize("kind", [each for each in ImageFormat if each is not ImageFormat.HEIC])
@pytest.mark.parametrize("size", [(33, 21), (320, 240), (1, 500)])
def test_the_header_tells_the_size_of_every_format(kind, size):
    header = inspect(photos.encoded(photos.photo(1, *size), kind.upper()), RULES)
    assert header.format is kind
    assert header.pixels == size[0] * size[1]


@pytest.mark.parametrize("options", [{}, {"big_tiff": True}, {"compression": "tiff_lzw"}])
def test_the_header_tells_the_size_of_every_tiff(options):
    file = photos.BytesIO()
    photos.photo(1, 70, 50).save(file, "TIFF", **options)
    assert inspect(file.getvalue(), RULES).pixels == 70 * 50


@pytest.mark.parametrize("options", [{"lossless": True}, {"exif": Image.Exif()}, {"quality": 50}])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_the_header_tells_the_size_of_every_webp(options, mode):
    file = photos.BytesIO()
    photos.photo(1, 70, 50).convert(mode).save(file, "WEBP", **options)
    assert inspect(file.getvalue(), RULES).pixels == 70 * 50


def test_what_takes_longer_is_told_by_the_header():
    photo = photos.photo(1, 400, 300)

    def seconds(kind: str, **options: bool) -> float:
        file = photos.BytesIO()
        photo.save(file, kind, **options)
        return inspect(file.getvalue(), RULES).seconds

    assert seconds("JPEG") < seconds("JPEG", progressive=True) < seconds("AVIF")
    scans = inspect(attack_images.jpeg_of_scans(80, 400, 300), RULES).seconds
    assert scans > 4 * seconds("JPEG", progressive=True)
    unknown = inspect(attack_images.heif_of_items(b"heic", 3), RULES)
    assert unknown.pixels is None
    assert unknown.seconds == LIMITS.cpu_seconds


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
@pytest.mark.parametrize(("rows", "answered"), [(499, True), (501, False)])
def test_hidden_pixels_are_counted_in_all_strips_of_an_image(mode, rows, answered):
    image = Image.new("RGBA", (20, 1000), (200, 90, 60, 255))
    image.paste((200, 90, 60, 0), (0, 1000 - rows, 20, 1000))
    options = {}
    if mode == "P":
        image = Image.fromarray(np.asarray(image.getchannel("A")) // 255).convert("P")
        options = {"transparency": 0}
    file = photos.BytesIO()
    (image if mode == "P" else image.convert(mode)).save(file, "PNG", **options)
    if answered:
        assert decode(file.getvalue(), RULES).pixels.shape == (224, 224, 3)
    else:
        assert "transparent" in refused(file.getvalue()).text


def test_deep_grey_of_many_strips_is_read_by_its_high_byte():
    deep = np.arange(700 * 30, dtype=np.uint16).reshape(700, 30) * 3
    file = photos.BytesIO()
    Image.fromarray(deep).save(file, "PNG")
    rules = replace(RULES, height=700, width=30)
    np.testing.assert_array_equal(decode(file.getvalue(), rules).pixels[..., 1], deep >> 8)
