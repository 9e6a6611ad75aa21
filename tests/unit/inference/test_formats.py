"""Exactly the listed formats are read; of each, the picture that is meant; nothing is guessed."""

import importlib.util
import struct
import subprocess
import sys
from dataclasses import replace
from io import BytesIO

import numpy as np
import pillow_heif
import pytest
from PIL import Image, TiffImagePlugin

from inference.decode import decode
from inference.errors import RefusedError
from inference.rules import DecodeRules
from pipelines.enums import Resize
from pipelines.formats import ImageFormat
from pipelines.protocol import Refusal
from tests.photos import photo

pillow_heif.register_heif_opener()

WHOLE = DecodeRules(0, 0, Resize.NONE, Image.Resampling.NEAREST, 10**7, 10**6)
RED, BLUE = (200, 0, 0), (0, 0, 200)


def encoded(image, kind, **options):
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def refused(data, rules=WHOLE):
    with pytest.raises(RefusedError) as error:
        decode(data, rules)
    return error.value


def pixels(data, rules=WHOLE):
    return decode(data, rules).pixels


def plain(colour, size=(64, 48)):
    return Image.new("RGB", size, colour)


@pytest.mark.filterwarnings("ignore::DeprecationWarning:PIL")
def test_of_all_that_pillow_writes_exactly_the_listed_formats_are_read():
    Image.init()
    read, codes, others = set(), set(), {}
    for kind in Image.SAVE:
        for mode in ("RGB", "L", "1"):
            try:
                data = encoded(photo(1, 64, 64).convert(mode), kind)
            except (OSError, ValueError, KeyError, AttributeError):
                continue
            try:
                assert pixels(data).shape == (64, 64, 3)
                read.add(kind)
            except RefusedError as error:
                codes.add(error.code)
                others[kind] = error.text
    assert codes == {Refusal.IMAGE_FORMAT}
    # MPO is a JPEG with more pictures behind it.
    assert read == {each.upper() for each in ImageFormat} - {"HEIC"} | {"HEIF", "MPO"}
    assert {"PDF", "EPS", "ICO", "PPM", "TGA", "SGI", "JPEG2000", "PCX", "DDS", "QOI"} <= set(
        others
    )
    unnamed = {kind for kind, text in others.items() if text.startswith("the format is not")}
    # They have no signature.
    assert unnamed <= {"SPIDER", "PALM", "BUFR", "GRIB", "XVTHUMB", "PIXAR"}


def test_a_file_is_never_read_as_another_format_than_it_claims():
    for data in (
        b"BM" + encoded(plain(RED), "PNG"),
        b"GIF89a" + encoded(plain(RED), "JPEG"),
        b"II*\0" + encoded(plain(RED), "BMP"),
        b"\xff\xd8\xff" + encoded(plain(RED), "PPM"),
    ):
        assert refused(data).code in {Refusal.IMAGE_UNDECODABLE, Refusal.IMAGE_TOO_LARGE}
    both = encoded(plain(RED), "PNG") + encoded(plain(BLUE), "TIFF")
    assert tuple(pixels(both)[0, 0]) == RED


def test_heic_has_the_pixels_of_its_primary_picture_turned_once():
    image = photo(2, 12, 8).resize((96, 64), Image.Resampling.BICUBIC)
    data = encoded(image, "HEIF", quality=95)
    assert np.abs(pixels(data).astype(int) - np.asarray(image)).mean() < 8


def half_blue(orientation, *, by_container):
    """A HEIC, blue in its top rows, that is to be turned by its container or by EXIF alone."""
    image = Image.new("RGB", (96, 64), RED)
    image.paste(BLUE, (0, 0, 96, 20))
    exif = Image.Exif()
    exif[274] = orientation
    if not by_container:
        return encoded(image, "HEIF", quality=95, exif=exif)
    image.info["exif"] = exif.tobytes()
    return encoded(image, "HEIF", quality=95)


def test_a_heic_is_turned_once_by_its_container_and_never_by_exif():
    data = half_blue(6, by_container=True)
    assert b"irot" in data
    upright = pixels(data)
    assert upright.shape == (96, 64, 3)
    np.testing.assert_allclose(upright[48, 60], BLUE, atol=12)
    np.testing.assert_allclose(upright[48, 5], RED, atol=12)
    data = half_blue(4, by_container=True)
    assert b"imir" in data
    np.testing.assert_allclose(pixels(data)[60, 48], BLUE, atol=12)
    # The standard says that readers ignore it.
    data = half_blue(6, by_container=False)
    assert b"irot" not in data
    np.testing.assert_allclose(pixels(data)[5, 48], BLUE, atol=12)


def test_of_several_pictures_in_a_heic_the_primary_one_counts():
    file = BytesIO()
    heif = pillow_heif.HeifFile()
    heif.add_from_pillow(plain(RED))
    heif.add_from_pillow(plain(BLUE))
    heif.save(file, primary_index=1, quality=95)
    np.testing.assert_allclose(pixels(file.getvalue())[10, 10], BLUE, atol=12)


def test_a_heic_of_too_many_pixels_is_refused_before_it_is_decoded():
    data = encoded(plain(RED, (1200, 1000)), "HEIF")
    assert len(data) < 20_000
    assert refused(data).code is Refusal.IMAGE_TOO_LARGE
    # The header says less than the picture has.
    size = struct.pack(">II", 1200, 1000)
    assert size in data
    liar = data.replace(size, struct.pack(">II", 60, 50))
    assert refused(liar).code is Refusal.IMAGE_UNDECODABLE


@pytest.mark.parametrize("kind", ["HEIF", "AVIF", "GIF"])
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9, 0.98])
def test_a_new_format_that_is_cut_is_refused(kind, kept):
    data = encoded(photo(4, 128, 96), kind)
    assert refused(data[: int(len(data) * kept)]).code is Refusal.IMAGE_UNDECODABLE


def test_without_pillow_heif_a_heic_is_refused_with_what_the_phone_can_be_set_to():
    script = (
        "import sys; sys.modules['pillow_heif'] = None\n"
        "from PIL import Image\n"
        "from inference.decode import decode\n"
        "from inference.errors import RefusedError\n"
        "from inference.rules import DecodeRules\n"
        "rules = DecodeRules(8, 8, 'stretch', Image.Resampling.BILINEAR, 10**6, 10**6)\n"
        "try: decode(sys.stdin.buffer.read(), rules)\n"
        "except RefusedError as error: print(error.code, error.text)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script],
        input=encoded(plain(RED), "HEIF"),
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert importlib.util.find_spec("pillow_heif")
    assert ran.stdout.startswith(b"image_format HEIC is not read by this installation")
    assert b"Most Compatible" in ran.stdout


def test_of_an_apng_the_first_frame_that_is_shown_counts_not_a_hidden_default_image():
    frames = [plain(BLUE), plain((0, 200, 0))]
    hidden = encoded(
        plain(RED), "PNG", save_all=True, default_image=True, append_images=frames, duration=100
    )
    assert tuple(pixels(hidden)[5, 5]) == BLUE
    shown = encoded(plain(RED), "PNG", save_all=True, append_images=frames, duration=100)
    assert tuple(pixels(shown)[5, 5]) == RED


def tiff(pages):
    """Pages of image and NewSubfileType (or None)."""
    file = BytesIO()
    images = []
    for image, subfile in pages:
        info = TiffImagePlugin.ImageFileDirectory_v2()
        if subfile is not None:
            info[254] = subfile
        image.encoderinfo = {"tiffinfo": info}
        images.append(image)
    first, *others = images
    first.save(
        file, "TIFF", save_all=True, append_images=others, tiffinfo=first.encoderinfo["tiffinfo"]
    )
    return file.getvalue()


def test_of_a_tiff_the_only_full_page_is_read_and_never_a_reduced_image():
    thumb, full = plain(RED, (16, 12)), plain(BLUE)
    for pages in (((thumb, 1), (full, 0)), ((full, 0), (thumb, 1)), ((thumb, 1), (full, None))):
        found = pixels(tiff([(image.copy(), subfile) for image, subfile in pages]))
        assert found.shape == (48, 64, 3)
        assert tuple(found[5, 5]) == BLUE


@pytest.mark.parametrize("subfiles", [(None, None), (0, 0), (None, 2), (1, 1)])
def test_a_tiff_of_several_full_pages_or_of_none_is_refused(subfiles):
    error = refused(tiff([(plain(RED, (16, 12)), subfiles[0]), (plain(BLUE), subfiles[1])]))
    assert error.code is Refusal.IMAGE_UNDECODABLE
    assert ("preview" if subfiles == (1, 1) else "several pages") in error.text


def grey_tiff(samples, order="<", **tags):
    """A TIFF with one strip of grey; `tags` by their names in `TAGS`."""
    data = samples.tobytes()
    height, width = tags.pop("shape", samples.shape)
    known = {"bits": 258, "photometric": 262, "format": 339, "largest": 281, "planes": 277}
    values = {256: width, 257: height, 259: 1, 262: 1, 277: 1, 278: height, 279: len(data)}
    values |= {known[name]: value for name, value in tags.items()}
    start = 8 + 2 + 12 * (len(values) + 1) + 4
    values[273] = start
    entries = b"".join(
        struct.pack(order + "HHI", tag, 3 if value < 2**16 and tag != 279 else 4, 1)
        + (
            struct.pack(order + "HH", value, 0)
            if value < 2**16 and tag != 279
            else struct.pack(order + "I", value)
        )
        for tag, value in sorted(values.items())
    )
    mark = b"II*\0" if order == "<" else b"MM\0*"
    head = mark + struct.pack(order + "IH", 8, len(values))
    return head + entries + bytes(4) + data


GREY8 = np.arange(256, dtype=np.uint8).reshape(16, 16)


def packed12(values):
    flat = values.reshape(-1, 2).astype(np.uint32)
    whole = (flat[:, 0] << 12) | flat[:, 1]
    return np.stack([whole >> 16, whole >> 8 & 255, whole & 255], 1).astype(np.uint8)


@pytest.mark.parametrize(
    "data",
    [
        grey_tiff(GREY8, bits=8),
        grey_tiff(255 - GREY8, bits=8, photometric=0),
        grey_tiff(packed12(GREY8.astype(int) * 16 + 7), bits=12, shape=(16, 16)),
        grey_tiff(GREY8.astype("<u2") * 256 + 9, bits=16),
        grey_tiff((GREY8.astype(int) * 256 + 9).astype(">u2"), ">", bits=16),
        grey_tiff(65535 - GREY8.astype("<u2") * 256, bits=16, photometric=0),
        grey_tiff(GREY8.astype("<u2") * 16 + 3, bits=16, largest=4095),
        grey_tiff(GREY8.astype("<u2") * 4, bits=16, largest=1023),
    ],
    ids=["8", "8 inverted", "12", "16", "16 big", "16 inverted", "12 in 16", "10 in 16"],
)
def test_deep_grey_is_that_of_its_8_bit_twin(data):
    found = pixels(data)
    np.testing.assert_array_equal(found, np.repeat(GREY8[..., None], 3, 2))


@pytest.mark.parametrize(
    "data",
    [
        grey_tiff(GREY8.astype("<i2"), bits=16, format=2),
        grey_tiff(GREY8.astype(np.int8), bits=8, format=2),
        grey_tiff(GREY8.astype("<u4") * 2**24, bits=32),
        grey_tiff(GREY8.astype("<i4"), bits=32, format=2),
        grey_tiff(GREY8.astype("<f4") / 255, bits=32, format=3),
        grey_tiff(GREY8.astype("<f4"), bits=32, format=3),
        grey_tiff(GREY8.astype("<u2"), bits=16, largest=3977),
        grey_tiff(GREY8.astype("<u2"), bits=16, largest=100),
    ],
    ids=["int16", "int8", "uint32", "int32", "fraction", "float", "odd white", "low white"],
)
def test_what_a_tiff_does_not_say_of_its_white_is_refused(data):
    error = refused(data)
    assert error.code is Refusal.IMAGE_UNDECODABLE
    assert "no known white" in error.text


def test_deep_colour_and_grey_with_alpha_are_their_high_bytes():
    values = np.stack([GREY8, GREY8.T, 255 - GREY8], -1)
    chunks = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values.astype(int) * 256 + 5)
    from tests.unit.inference.test_decode import png  # noqa: PLC0415

    np.testing.assert_array_equal(pixels(png(16, 16, 16, 2, chunks)), values)
    with_alpha = np.stack([GREY8.astype(int) * 256 + 5, np.full((16, 16), 65535)], -1)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in with_alpha)
    np.testing.assert_array_equal(pixels(png(16, 16, 16, 4, rows))[..., 0], GREY8)


@pytest.mark.parametrize(
    "change",
    [
        lambda data, strips: data[:-10],
        lambda data, strips: data.replace(strips, struct.pack("<HHII", 279, 4, 1, 0)),
        lambda data, strips: data.replace(strips, struct.pack("<HHII", 279, 4, 1, 100)),
    ],
    ids=["cut", "no bytes", "fewer bytes"],
)
def test_a_tiff_whose_strips_are_missing_is_refused(change):
    data = grey_tiff(GREY8, bits=8)
    strips = struct.pack("<HHII", 279, 4, 1, 256)
    assert strips in data
    assert "too early" in refused(change(data, strips)).text


def test_a_strip_of_jpeg_that_is_not_whole_is_refused():
    data = encoded(photo(3, 200, 150), "TIFF", compression="jpeg")
    assert pixels(data).shape == (150, 200, 3)
    with Image.open(BytesIO(data)) as image:
        offset, count = image.tag_v2[273][-1], image.tag_v2[279][-1]
    assert count > 1000
    broken = data[: offset + count // 2] + bytes(count - count // 2) + data[offset + count :]
    assert refused(broken).code is Refusal.IMAGE_UNDECODABLE


def test_nothing_is_decoded_before_its_size_is_known_to_be_within_limits(monkeypatch):
    small = replace(WHOLE, max_pixels=1000)
    hidden = encoded(
        plain(RED), "PNG", save_all=True, default_image=True, append_images=[plain(BLUE)]
    )
    strips = encoded(photo(3, 200, 150), "TIFF", compression="jpeg")

    def explode(*_):
        raise AssertionError("it was decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", explode)
    monkeypatch.setattr("inference.jpeg.simplejpeg.decode_jpeg", explode)
    for data in (hidden, strips):
        assert refused(data, small).code is Refusal.IMAGE_TOO_LARGE


def test_a_strip_of_jpeg_that_is_larger_than_its_page_is_not_decoded(monkeypatch):
    data = encoded(photo(3, 200, 16), "TIFF", compression="jpeg")
    with Image.open(BytesIO(data)) as image:
        offset = image.tag_v2[273][0]
    frame = data.index(b"\xff\xc0", offset) + 5
    assert struct.unpack_from(">HH", data, frame) == (16, 200)
    huge = data[:frame] + struct.pack(">HH", 60_000, 60_000) + data[frame + 4 :]
    decoded = []
    monkeypatch.setattr(
        "inference.jpeg.simplejpeg.decode_jpeg", lambda *_, **__: decoded.append("huge")
    )
    assert refused(huge).code is Refusal.IMAGE_UNDECODABLE
    assert not decoded


def test_fax_compression_conceals_missing_data_and_is_refused():
    data = encoded(photo(3).convert("1"), "TIFF", compression="group4")
    assert "Save it as PNG" in refused(data).text


def test_run_lengths_of_a_bmp_conceal_missing_pixels_and_are_refused():
    image = photo(3, 64, 48).quantize(16)
    bmp = bytearray(encoded(image, "BMP"))
    (start,) = struct.unpack_from("<I", bmp, 10)
    struct.pack_into("<I", bmp, 30, 1)
    lines = b"\x05\x03\0\0" * 48 + b"\0\1"  # five pixels a line, then its end
    assert "run-length" in refused(bytes(bmp[:start]) + lines).text


def transparent(kind, mode, share):
    image = photo(5, 60, 50).convert("RGBA")
    image.paste((9, 9, 9, 0), (0, 0, 60, int(50 * share)))
    if mode == "P":
        palette = photo(5, 60, 50).quantize(8)
        palette.paste(3, (0, 0, 60, int(50 * share)))
        return encoded(palette, kind, transparency=3)
    if mode == "LA":
        return encoded(image.convert("LA"), kind)
    return encoded(image, kind, **({"lossless": True} if kind == "WEBP" else {}))


@pytest.mark.parametrize(
    ("kind", "mode"),
    [("PNG", "RGBA"), ("PNG", "LA"), ("PNG", "P"), ("GIF", "P"), ("WEBP", "RGBA"),
     ("TIFF", "RGBA"), ("AVIF", "RGBA"), ("HEIF", "RGBA")],
)  # fmt: skip
def test_what_is_mostly_transparent_is_no_photo(kind, mode):
    assert "transparent" in refused(transparent(kind, mode, 1)).text
    assert refused(transparent(kind, mode, 0.7)).code is Refusal.IMAGE_UNDECODABLE
    assert pixels(transparent(kind, mode, 0.1)).shape == (50, 60, 3)


def test_what_is_refused_is_refused_under_fast_decoding_too():
    fast = replace(WHOLE, height=8, width=8, resize=Resize.STRETCH, reserve=1)
    assert "transparent" in refused(transparent("PNG", "RGBA", 1), fast).text
    assert "several pages" in refused(tiff([(plain(RED), None), (plain(BLUE), None)]), fast).text
