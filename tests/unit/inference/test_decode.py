"""Decoding of real bytes: what Pillow does, bit for bit, and every refusal."""

import struct
import zlib
from contextlib import suppress
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps
from pillow_heif import register_heif_opener

from inference.decode import decode
from inference.errors import RefusedError
from inference.resize import Geometry
from inference.rules import DecodeRules
from pipelines.enums import Resize
from pipelines.protocol import Refusal

# The tests write HEIC.
register_heif_opener()

RULES = DecodeRules(
    height=24,
    width=32,
    resize=Resize.STRETCH,
    interpolation=Image.Resampling.BILINEAR,
    max_bytes=100_000,
    max_pixels=10_000,
)


def picture(mode="RGB", size=(50, 37)):
    rng = np.random.default_rng(3)
    noise = Image.fromarray(rng.integers(0, 256, (9, 12, 4), dtype=np.uint8), "RGBA")
    return noise.resize(size, Image.Resampling.BICUBIC).convert(mode)


def encoded(image, kind, **options):
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def plain(data, rules=RULES):
    """The training recipe."""
    upright = ImageOps.exif_transpose(Image.open(BytesIO(data)))
    rgb = upright.convert("RGB")
    return np.asarray(rgb.resize((rules.width, rules.height), rules.interpolation))


def png(width, height, depth, colour, rows):
    def chunk(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def refused(data, rules=RULES):
    with pytest.raises(RefusedError) as error:
        decode(data, rules)
    return error.value


@pytest.mark.parametrize(
    ("kind", "mode", "options"),
    [
        ("JPEG", "RGB", {"quality": 90}),
        ("JPEG", "RGB", {"progressive": True}),
        ("JPEG", "L", {}),
        ("JPEG", "CMYK", {}),
        ("PNG", "RGB", {}),
        ("PNG", "RGBA", {}),
        ("PNG", "LA", {}),
        ("PNG", "L", {}),
        ("PNG", "1", {}),
        ("PNG", "P", {}),
        ("PNG", "P", {"transparency": 3}),
        ("WEBP", "RGB", {}),
        ("WEBP", "RGBA", {"lossless": True}),
        ("BMP", "RGB", {}),
        ("BMP", "P", {}),
        ("TIFF", "RGB", {}),
        ("TIFF", "RGB", {"compression": "tiff_lzw"}),
        ("TIFF", "CMYK", {}),
        ("TIFF", "LAB", {}),
    ],
)
def test_every_format_and_mode_decodes_as_in_training(kind, mode, options):
    source = picture("RGB").convert(mode) if mode != "LAB" else _lab()
    data = encoded(source, kind, **options)
    if mode == "LAB":
        assert decode(data, RULES).pixels.shape == (24, 32, 3)
        return
    pixels = decode(data, RULES).pixels
    assert pixels.dtype == np.uint8
    assert pixels.shape == (24, 32, 3)
    np.testing.assert_array_equal(pixels, plain(data))


def _lab():
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    return ImageCms.profileToProfile(picture(), srgb, lab, outputMode="LAB")


@pytest.mark.filterwarnings("ignore:Palette images with Transparency")
def test_a_palette_with_soft_transparency_keeps_its_colours():
    data = encoded(picture("P"), "PNG", transparency=bytes(range(256)))
    np.testing.assert_array_equal(decode(data, RULES).pixels, plain(data))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_every_exif_orientation_is_applied(kind, orientation):
    if kind == "TIFF":
        data = encoded(picture(), kind, tiffinfo={274: orientation})
    else:
        exif = Image.Exif()
        exif[274] = orientation
        data = encoded(picture(), kind, exif=exif)
    np.testing.assert_array_equal(decode(data, RULES).pixels, plain(data))


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_exif_that_is_broken_counts_as_none():
    data = encoded(picture(), "JPEG")
    broken = b"Exif\0\0II*\0\xff\xff\xff\xff" + b"\x55" * 30
    segment = b"\xff\xe1" + struct.pack(">H", len(broken) + 2) + broken
    np.testing.assert_array_equal(decode(data[:2] + segment + data[2:], RULES).pixels, plain(data))


def test_of_several_frames_the_first_counts():
    frames = [picture(), ImageOps.invert(picture())]
    for kind in ("WEBP", "MPO", "PNG", "GIF"):
        options = {"lossless": True} if kind == "WEBP" else {}
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        np.testing.assert_array_equal(decode(data, RULES).pixels, plain(data))


def test_16_bit_grey_is_its_high_byte_as_pillow_reads_16_bit_colour():
    values = np.array([[0, 255, 256, 1000, 32768, 65535]] * 6, dtype=">u2")
    grey = png(6, 6, 16, 0, b"".join(b"\0" + row.tobytes() for row in values))
    colour = np.repeat(values[..., None], 3, axis=2)
    rgb = png(6, 6, 16, 2, b"".join(b"\0" + row.tobytes() for row in colour))
    np.testing.assert_array_equal(decode(grey, RULES).pixels, decode(rgb, RULES).pixels)
    assert decode(grey, RULES).pixels[0, 0, 0] == 0
    assert 120 < np.median(decode(grey, RULES).pixels[:, 24:27]) < 200
    tiff = encoded(Image.fromarray(values.astype("<u2")), "TIFF")
    np.testing.assert_array_equal(decode(tiff, RULES).pixels, decode(grey, RULES).pixels)


@pytest.mark.parametrize(
    "values",
    [
        np.linspace(0, 1, 36, dtype=np.float32),
        np.linspace(-5, 4000, 36, dtype=np.float32),
        np.linspace(0, 200, 36).astype(np.int32),
        np.linspace(0, 10_000_000, 36).astype(np.int32),
    ],
)
def test_grey_whose_white_no_file_says_is_refused_and_never_stretched(values):
    data = encoded(Image.fromarray(values.reshape(6, 6)), "TIFF")
    error = refused(data)
    assert error.code is Refusal.IMAGE_UNDECODABLE
    assert "no known white" in error.text


def test_pixels_that_are_not_finite_are_refused():
    data = encoded(Image.fromarray(np.full((6, 6), np.nan, dtype=np.float32)), "TIFF")
    assert refused(data).code is Refusal.IMAGE_UNDECODABLE


@pytest.mark.parametrize("size", [(50, 37), (37, 50), (33, 33), (31, 90), (24, 24), (32, 32)])
@pytest.mark.parametrize("side", [32, 33])
def test_crop_is_torchvisions_resize_and_centre_crop(size, side):
    rules = DecodeRules(24, side, Resize.CROP, Image.Resampling.BICUBIC, 10**6, 10**6)
    image = picture(size=size)
    # Resize(side): the long side is truncated. CenterCrop: half a pixel is rounded to even.
    long = int(side * max(size) / min(size))
    new = (side, long) if size[0] <= size[1] else (long, side)
    left, top = round((new[0] - side) / 2), round((new[1] - 24) / 2)
    training = image.resize(new, Image.Resampling.BICUBIC)
    training = training.crop((left, top, left + side, top + 24))
    np.testing.assert_array_equal(decode(encoded(image, "PNG"), rules).pixels, np.asarray(training))


def test_nothing_is_refused_as_empty():
    assert refused(b"").code is Refusal.IMAGE_EMPTY


def test_too_many_bytes_are_refused_whatever_they_are():
    error = refused(b"x" * 100_001)
    assert error.code is Refusal.IMAGE_TOO_LARGE
    assert "100001 bytes" in error.text


@pytest.mark.parametrize("data", [b"hello, I am a photo", b"%PDF-1.7", b"\0" * 500])
def test_what_is_no_image_of_a_known_format_is_refused_as_such(data):
    assert refused(data).code is Refusal.IMAGE_FORMAT


def test_a_decompression_bomb_is_refused_by_its_header():
    bomb = png(30_000, 30_000, 8, 2, b"")
    assert refused(bomb).code is Refusal.IMAGE_TOO_LARGE
    assert refused(png(101, 100, 8, 2, b"")).code is Refusal.IMAGE_TOO_LARGE


def test_a_tiff_with_monstrous_tiles_is_refused_by_its_header():
    tags = [(256, 4), (257, 4), (258, 8), (259, 1), (262, 1), (277, 1),
            (322, 60_000), (323, 60_000), (324, 8), (325, 16)]  # fmt: skip
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    data = b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + b"\0" * 40
    assert refused(data).code is Refusal.IMAGE_TOO_LARGE


def test_a_crop_that_would_enlarge_beyond_the_limit_is_refused():
    rules = DecodeRules(24, 32, Resize.CROP, Image.Resampling.BILINEAR, 10**6, 10_000)
    assert refused(encoded(picture(size=(1, 5000)), "PNG"), rules).code is Refusal.IMAGE_TOO_LARGE


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "HEIF"])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
def test_a_truncated_image_is_refused(kind, kept):
    data = encoded(picture(), kind)
    assert refused(data[: int(len(data) * kept)]).code is Refusal.IMAGE_UNDECODABLE


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "HEIF"])
def test_bytes_gone_wrong_are_an_image_or_a_refusal_and_nothing_else(kind):
    rng = np.random.default_rng(4)
    data = np.frombuffer(encoded(picture(), kind), dtype=np.uint8)
    for _ in range(150):
        broken = data.copy()
        broken[rng.integers(0, len(data), 8)] = rng.integers(0, 256, 8)
        with suppress(RefusedError):
            assert decode(broken.tobytes(), RULES).pixels.shape == (24, 32, 3)


def test_a_refusal_tells_nothing_of_the_content():
    exif = Image.Exif()
    exif[270] = "Jane Doe"
    data = encoded(picture(), "JPEG", exif=exif)
    assert "Jane" not in refused(data[:-200]).text


LETTERBOX = DecodeRules(40, 60, Resize.LETTERBOX, Image.Resampling.BILINEAR, 10**6, 10**6, fill=114)


@pytest.mark.parametrize(
    ("size", "inner", "corner"),
    [
        ((120, 80), (60, 40), (0, 0)),
        ((120, 40), (60, 20), (0, 10)),
        ((33, 90), (15, 40), (22, 0)),  # 14.67 is rounded; half of 45 is rounded down
        ((30, 20), (60, 40), (0, 0)),  # enlarged
        ((1, 1), (40, 40), (10, 0)),
        ((500, 2), (60, 1), (0, 19)),  # 0.24 is one pixel, not none
    ],
)
def test_a_letterbox_holds_the_whole_image_in_the_middle_of_one_grey(size, inner, corner):
    image = picture(size=size)
    expected = Image.new("RGB", (60, 40), (114, 114, 114))
    expected.paste(image.resize(inner, Image.Resampling.BILINEAR), corner)
    decoded = decode(encoded(image, "PNG"), LETTERBOX)
    np.testing.assert_array_equal(decoded.pixels, np.asarray(expected))
    assert decoded.geometry == Geometry(
        size[1], size[0], inner[0] / size[0], inner[1] / size[1], *corner
    )


def test_an_image_that_is_not_resized_keeps_every_pixel():
    rules = DecodeRules(0, 0, Resize.NONE, Image.Resampling.NEAREST, 10**6, 10**6)
    exif = Image.Exif()
    exif[274] = 6
    image = picture(size=(50, 37))
    decoded = decode(encoded(image, "PNG", exif=exif), rules)
    np.testing.assert_array_equal(decoded.pixels, np.asarray(image.rotate(-90, expand=True)))
    assert decoded.geometry == Geometry(50, 37, 1.0, 1.0, 0, 0)


@pytest.mark.parametrize("resize", ["stretch", "crop", "letterbox", "none"])
def test_the_geometry_tells_where_a_spot_of_the_image_went(resize):
    image = Image.new("RGB", (200, 120))
    image.paste((255, 255, 255), (90, 50, 110, 80))
    rules = DecodeRules(64, 96, resize, Image.Resampling.BILINEAR, 10**6, 10**6)
    decoded = decode(encoded(image, "PNG"), rules)
    where = decoded.geometry
    rows, columns = np.nonzero(decoded.pixels[..., 0] > 127)
    expected_x = (where.x_scale * 90 + where.left, where.x_scale * 110 + where.left)
    expected_y = (where.y_scale * 50 + where.top, where.y_scale * 80 + where.top)
    assert (columns.min(), columns.max() + 1) == pytest.approx(expected_x, abs=0.6)
    assert (rows.min(), rows.max() + 1) == pytest.approx(expected_y, abs=0.6)
    assert Geometry.of(where.as_array()) == where


@pytest.mark.parametrize("size", [(101, 10), (10, 101)])
def test_an_image_that_is_too_narrow_is_refused_and_the_bound_named(size):
    rules = DecodeRules(
        24, 32, Resize.STRETCH, Image.Resampling.BILINEAR, 10**6, 10**6, max_aspect=10
    )
    error = refused(encoded(picture(size=size), "PNG"), rules)
    assert error.code is Refusal.IMAGE_SHAPE
    assert f"{size[0]} x {size[1]}" in error.text
    assert "10 times" in error.text
    at_the_bound = encoded(picture(size=(100, 10)), "PNG")
    assert decode(at_the_bound, rules).pixels.shape == (24, 32, 3)
