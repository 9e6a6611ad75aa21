"""Measures of a photo's quality, on photos that are made worse in one way each."""

import math
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageEnhance, ImageFilter
from scipy.ndimage import laplace

from inference import quality
from inference.decode import decode
from inference.errors import RefusedError
from inference.quality import judge
from inference.rules import DecodeRules, QualityBound, QualityRules
from pipelines.enums import Colour, Measure, QualityWarning, Resize
from pipelines.protocol import PROBE_IMAGE, Refusal

RULES = DecodeRules(224, 224, Resize.STRETCH, Image.Resampling.BILINEAR, 10**8, 10**8)
NO_BOUNDS = (None,) * len(QualityWarning)


def textured(size=(640, 480), seed=0):
    """Soft shapes with texture and an edge, from dark to light, none clipped."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(60, 200, (6, 8, 3), dtype=np.uint8)
    fine = rng.normal(0, 9, (size[1] // 2, size[0] // 2, 1)).repeat(3, axis=2)
    image = Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)
    detail = np.asarray(Image.fromarray((fine + 128).clip(0, 255).astype(np.uint8)).resize(size))
    mixed = np.asarray(image).astype(np.int16) + detail - 128
    return Image.fromarray(mixed.clip(0, 255).astype(np.uint8))


def encoded(image, kind="JPEG", **options):
    file = BytesIO()
    image.save(file, kind, **({"quality": 92} | options if kind == "JPEG" else options))
    return file.getvalue()


def reopened(data):
    return Image.open(BytesIO(data)).convert("RGB")


def measured(data, rules=RULES):
    data = data if isinstance(data, bytes) else encoded(data)
    return dict(zip(Measure, decode(data, rules).measures.tolist(), strict=True))


def bounded(**bounds):
    return QualityRules(tuple(bounds.get(name) for name in QualityWarning))


def test_sharpness_is_the_variance_of_the_laplacian_of_what_the_model_sees():
    data = encoded(textured(), "PNG")
    grey = np.asarray(Image.fromarray(decode(data, RULES).pixels).convert("L")).astype(float)
    expected = laplace(grey)[1:-1, 1:-1].var()
    assert measured(data)["sharpness"] == pytest.approx(expected, rel=1e-5)


def test_blur_takes_sharpness_and_leaves_the_rest():
    good = measured(textured())
    blurred = measured(textured().filter(ImageFilter.GaussianBlur(4)))
    assert blurred["sharpness"] < good["sharpness"] / 5
    assert blurred["bright_share"] == blurred["dark_share"] == 0
    assert blurred["resolution"] == good["resolution"]


def test_blur_that_the_models_resize_removes_does_not_count():
    large = textured().resize((2560, 1920), Image.Resampling.BICUBIC)
    slightly = large.filter(ImageFilter.GaussianBlur(1.5))
    assert measured(slightly)["sharpness"] > 0.8 * measured(large)["sharpness"]


def test_shares_of_dark_and_bright_are_those_of_the_pixels():
    half = Image.new("RGB", (224, 224), (39, 39, 39))
    half.paste((40, 40, 40), (0, 0, 112, 224))
    assert measured(encoded(half, "PNG"))["dark_share"] == 0.5
    red = Image.new("RGB", (224, 224), (250, 249, 100))
    assert measured(encoded(red, "PNG"))["bright_share"] == pytest.approx(1 / 3)


def test_brightness_is_the_mean_luminance_of_what_the_model_sees():
    half = Image.new("RGB", (224, 224), (40, 40, 40))
    half.paste((200, 200, 200), (0, 0, 112, 224))
    assert measured(encoded(half, "PNG"))["brightness"] == 120
    green = Image.new("RGB", (64, 48), (0, 255, 0))
    assert measured(encoded(green, "PNG"))["brightness"] == pytest.approx(255 * 0.587, abs=0.5)
    boxed = replace(RULES, resize=Resize.LETTERBOX, fill=0)
    wide = Image.new("RGB", (640, 160), (128, 128, 128))
    assert measured(encoded(wide, "PNG"), boxed)["brightness"] == 128


def test_no_bound_judges_the_brightness():
    strict = bounded(**{name: QualityBound(0, True, "x", False) for name in QualityWarning})
    measures = np.full((2, len(Measure)), np.nan, np.float32)
    measures[:, -1] = 200
    assert judge(measures, strict).tolist() == [[-1] * len(QualityWarning)] * 2


def test_exposure_shows_in_its_own_measure_alone():
    dark = measured(ImageEnhance.Brightness(textured()).enhance(0.2))
    bright = measured(ImageEnhance.Brightness(textured()).enhance(2.5))
    assert (dark["dark_share"] > 0.7, dark["bright_share"]) == (True, 0)
    assert (bright["bright_share"] > 0.5, bright["dark_share"]) == (True, 0)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, 480 / 224),
        ({"resize": Resize.CROP}, 480 / 224),
        ({"resize": Resize.LETTERBOX}, 640 / 224),
        ({"resize": Resize.NONE, "quality": QualityRules(NO_BOUNDS, side=256)}, 480 / 256),
        ({"reserve": 1}, 480 / 224),
    ],
    ids=["stretch", "crop", "letterbox", "none", "fast"],
)
def test_resolution_is_pixels_of_the_photo_for_each_one_of_the_model(change, expected):
    found = measured(textured(), replace(RULES, **change))
    assert found["resolution"] == pytest.approx(expected, rel=1e-3)


def test_resolution_is_unknown_where_images_keep_their_size_and_no_side_is_named():
    assert math.isnan(measured(textured(), replace(RULES, resize=Resize.NONE))["resolution"])


def test_a_letterboxs_border_is_not_measured():
    rules = replace(RULES, resize=Resize.LETTERBOX, fill=0)
    assert measured(textured(), rules)["dark_share"] == 0
    wide = Image.new("RGB", (640, 160), (128, 128, 128))
    assert measured(encoded(wide, "PNG"), rules)["sharpness"] == 0


@pytest.mark.parametrize(
    "saved_again",
    [
        lambda image: encoded(image, "PNG"),
        lambda image: encoded(image, quality=95),
        lambda image: encoded(image.transpose(Image.Transpose.ROTATE_90), "PNG"),
        lambda image: encoded(image.crop((3, 5, 637, 478)), "PNG"),
    ],
    ids=["png", "high quality", "turned", "cropped"],
)
def test_blocks_of_an_earlier_compression_are_found(saved_again):
    poor = reopened(encoded(textured(), quality=10))
    assert measured(saved_again(textured()))["blocking"] < 1.3
    assert measured(saved_again(poor))["blocking"] > 2


def test_edges_of_objects_and_stripes_are_no_blocks():
    box = Image.new("RGB", (640, 480), (90, 120, 60))
    box.paste((200, 40, 40), (200, 100, 400, 300))
    assert measured(encoded(box, "PNG"))["blocking"] == 1
    stripes = np.zeros((480, 640, 3), np.uint8)
    stripes[:, np.arange(640) % 8 < 4] = 200
    assert measured(encoded(Image.fromarray(stripes), "PNG"))["blocking"] == 1


def test_blocking_is_unknown_of_a_photo_that_is_too_small_or_decoded_too_small():
    assert math.isnan(measured(textured((16, 16)))["blocking"])
    fast = replace(RULES, reserve=1)
    large = textured((1792, 1792))
    assert math.isnan(measured(large, fast)["blocking"])
    assert measured(large.resize((448, 448)), fast)["blocking"] > 0


PRIMARIES = {
    "display p3": ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06)),
    "srgb": ((0.64, 0.33), (0.3, 0.6), (0.15, 0.06)),
}


def profile(name):
    """An ICC profile of these primaries, D65 and gamma 2.2, as LittleCMS understands it."""
    if name == "srgb":
        return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return build_profile(PRIMARIES[name])


def build_profile(primaries):
    """A matrix profile, version 2, with gamma 2.2."""
    white = np.array([0.9505, 1.0, 1.089])
    columns = np.array([[x / y, 1, (1 - x - y) / y] for x, y in primaries]).T
    bradford = np.array(
        [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
    )
    d50 = np.array([0.9642, 1.0, 0.8249])
    adapt = np.linalg.inv(bradford) @ np.diag((bradford @ d50) / (bradford @ white)) @ bradford
    matrix = adapt @ (columns * np.linalg.solve(columns, white))

    def fixed(value):
        return round(value * 65536).to_bytes(4, "big", signed=True)

    def xyz(values):
        return b"XYZ \0\0\0\0" + b"".join(map(fixed, values))

    curve = b"curv\0\0\0\0\0\0\0\1" + int(2.2 * 256).to_bytes(2, "big") + b"\0\0"
    text = b"desc\0\0\0\0\0\0\0\2x\0" + bytes(79)
    tags = {
        b"desc": text + bytes(-len(text) % 4),
        b"cprt": b"text\0\0\0\0x\0\0\0",
        b"wtpt": xyz(d50),
        b"rXYZ": xyz(matrix[:, 0]),
        b"gXYZ": xyz(matrix[:, 1]),
        b"bXYZ": xyz(matrix[:, 2]),
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
    }
    start, table, body = 132 + 12 * len(tags), b"", b""
    for name, content in tags.items():
        offset = start + len(body)
        table += name + offset.to_bytes(4, "big") + len(content).to_bytes(4, "big")
        body += content
    head = b"lcms\2\x10\0\0mntrRGB XYZ " + bytes(12) + b"acsp" + bytes(28)
    head += b"".join(map(fixed, d50)) + bytes(48)
    size = (start + len(body)).to_bytes(4, "big")
    return size + head + len(tags).to_bytes(4, "big") + table + body


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_profile_that_is_not_applied_shifts_colours(kind):
    wide = encoded(textured(), kind, icc_profile=profile("display p3"))
    assert 15 < measured(wide)["colour_shift"] < 80
    assert measured(wide, replace(RULES, colour=Colour.TO_SRGB))["colour_shift"] == 0


def test_srgb_shifts_nothing_and_a_broken_profile_is_unknown():
    assert measured(textured())["colour_shift"] == 0
    assert measured(encoded(textured(), icc_profile=profile("srgb")))["colour_shift"] <= 2
    assert math.isnan(measured(encoded(textured(), icc_profile=b"broken" * 30))["colour_shift"])


def test_a_grey_profile_is_compared_on_grey():
    grey = textured().convert("L")
    found = measured(encoded(grey, "PNG", icc_profile=profile("display p3")))
    # Its gamma is 2.2 and not sRGB's; its primaries make no grey another.
    assert 0 < found["colour_shift"] < 12


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "CMYK", "1", "I;16"])
def test_every_mode_is_measured(mode):
    image = textured() if mode != "I;16" else Image.fromarray(np.full((48, 64), 30000, np.uint16))
    kind = "TIFF" if mode == "CMYK" else "PNG"
    found = measured(encoded(image if mode == "I;16" else image.convert(mode), kind))
    assert all(map(math.isfinite, found.values()))


@pytest.mark.parametrize("size", [(1, 1), (2, 300), (300, 2), (17, 9)])
@pytest.mark.parametrize("resize", list(Resize))
def test_the_smallest_images_are_measured(size, resize):
    found = measured(encoded(Image.new("RGB", size), "PNG"), replace(RULES, resize=resize))
    assert found["dark_share"] == 1
    assert found["sharpness"] == 0


LIMITS = {
    "blurred": QualityBound(10.0, above=False, text="Blurred. Repeat.", refuse=False),
    "dark": QualityBound(0.5, above=True, text="Dark. Repeat.", refuse=False),
}


def test_a_measure_at_its_bound_is_within():
    rules = bounded(**LIMITS)
    measures = np.array([[10, 0.5, 0, 0, 0, 0], [9.999, 0.501, 9, 9, 9, 9]], np.float32)
    np.testing.assert_array_equal(
        judge(measures, rules), [[0, 0, -1, -1, -1, -1], [1, 1, -1, -1, -1, -1]]
    )


def test_a_bound_is_compared_as_it_is_answered_in_fp32():
    bound = QualityBound(0.1, above=True, text="Dark. Repeat.", refuse=False)
    measures = np.array([0, 0.1, 0, 0, 0, 0], np.float32)
    assert judge(measures, bounded(dark=bound))[1] == 0


def test_what_is_unknown_is_not_judged():
    measures = np.full(6, np.nan, np.float32)
    assert judge(measures, bounded(**LIMITS)).tolist() == [-1] * 6


def test_a_bound_that_refuses_names_the_remedy():
    bound = QualityBound(1e6, above=False, text="The image is blurred. Repeat it.", refuse=True)
    with pytest.raises(RefusedError, match=r"^the image is blurred\. Repeat it\.$") as error:
        decode(encoded(textured()), replace(RULES, quality=bounded(blurred=bound)))
    assert error.value.code is Refusal.IMAGE_QUALITY
    warned = replace(RULES, quality=bounded(blurred=replace(bound, refuse=False)))
    assert decode(encoded(textured()), warned).pixels.shape == (224, 224, 3)


def test_the_image_of_probes_is_answered_whatever_the_pipeline_refuses():
    refusing = QualityBound(1e6, above=False, text="Blurred. Repeat.", refuse=True)
    rules = replace(RULES, quality=bounded(blurred=refusing))
    assert decode(PROBE_IMAGE, rules).pixels.shape == (224, 224, 3)
    with pytest.raises(RefusedError):
        decode(PROBE_IMAGE + b"\0", rules)


def test_a_profile_that_was_seen_is_not_computed_again(monkeypatch):
    asked = []
    monkeypatch.setattr(quality, "_SHIFTS", {})
    monkeypatch.setattr(quality, "_shift", lambda *of: asked.append(of) or 7.0)
    for number in (*range(70), 69, 69):
        found = measured(encoded(textured((64, 48)), icc_profile=b"profile %d" % number))
        assert found["colour_shift"] == 7
    assert len(asked) == 70
    assert len(quality._SHIFTS) <= 64
