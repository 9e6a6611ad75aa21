"""Colour profiles: ignored as in training, or converted to sRGB where a pipeline says so."""

import struct
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from inference.decode import decode
from inference.errors import RefusedError
from inference.rules import DecodeRules
from pipelines.enums import Colour
from pipelines.load import load_spec
from tests import photos

FIELD = Path(__file__).parent / "field_photos"
STORED = DecodeRules.from_spec(load_spec("oral_cancer").model_dump(mode="json"))
CONVERTED = replace(STORED, colour=Colour.TO_SRGB)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def profile_of(name: str) -> bytes:
    """The colour profile of a photo of the field."""
    with Image.open(FIELD / name) as image:
        return image.info["icc_profile"]


def saved(image: Image.Image, profile: bytes | None, kind: str = "PNG") -> bytes:
    file = BytesIO()
    image.save(file, kind, icc_profile=profile)
    return file.getvalue()


def apart(one: bytes, rules: DecodeRules, other: bytes) -> float:
    """Mean difference of two images' pixels, in levels; the second one as it is stored."""
    found, expected = decode(one, rules).pixels, decode(other, STORED).pixels
    return float(np.abs(found.astype(int) - expected).mean())


@pytest.mark.parametrize("name", ["healthy_p3.jpg", "healthy_gbr.jpg"])
def test_a_picture_in_another_space_becomes_what_it_shows(name):
    profile = profile_of(name)
    shown = photos.photo(3, 300, 200)
    source = ImageCms.ImageCmsProfile(BytesIO(profile))
    stored = ImageCms.profileToProfile(shown, SRGB, source, outputMode="RGB")
    encoded, original = saved(stored, profile), saved(shown, None)
    assert apart(encoded, STORED, original) > 5
    assert apart(encoded, CONVERTED, original) < 2


@pytest.mark.parametrize("name", ["healthy_p3.jpg", "healthy_gbr.jpg"])
def test_as_stored_a_profile_changes_nothing(name):
    data = (FIELD / name).read_bytes()
    with Image.open(BytesIO(data)) as image:
        plain = np.asarray(image.convert("RGB").resize((224, 224), Image.Resampling.BILINEAR))
    assert np.array_equal(decode(data, STORED).pixels, plain)
    assert not np.array_equal(decode(data, CONVERTED).pixels, plain)


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "1"])
def test_without_a_profile_the_pixels_are_srgb(mode):
    encoded = saved(photos.photo(4, 300, 200).convert(mode), None)
    assert np.array_equal(decode(encoded, CONVERTED).pixels, decode(encoded, STORED).pixels)


def test_an_srgb_profile_changes_next_to_nothing():
    encoded = saved(photos.photo(5, 300, 200), SRGB.tobytes())
    assert apart(encoded, CONVERTED, encoded) < 0.6


def grey_profile(gamma: float) -> bytes:
    """The smallest profile (ICC 2.1) of grey with a gamma; nothing here makes one."""
    d50 = struct.pack(">3i", 0xF6D6, 0x10000, 0xD32D)
    white = b"XYZ \0\0\0\0" + d50
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    tags = struct.pack(">I4sII4sII", 2, b"wtpt", 156, len(white), b"kTRC", 176, len(curve))
    head = struct.pack(
        ">I4xI4s4s4s12x4s", 128 + 28 + 36, 0x02100000, b"mntr", b"GRAY", b"XYZ ", b"acsp"
    )
    return head.ljust(68, b"\0") + d50 + bytes(48) + tags + white + curve


@pytest.mark.parametrize("mode", ["L", "I;16", "LA", "1"])
def test_grey_is_converted_by_a_profile_for_grey(mode):
    levels = np.tile(np.arange(256, dtype=np.uint8), (256, 1))
    image = Image.fromarray(levels).convert(mode if mode != "I;16" else "L")
    if mode == "I;16":
        image = Image.fromarray(levels.astype(np.uint16) * 257)
    encoded = saved(image, grey_profile(1.0))
    rules = replace(CONVERTED, height=256, width=256)
    found = decode(encoded, rules).pixels
    stored = decode(encoded, replace(rules, colour=Colour.AS_STORED)).pixels / 255
    # Linear light to sRGB (IEC 61966-2-1).
    curve = np.where(stored <= 0.0031308, 12.92 * stored, 1.055 * stored ** (1 / 2.4) - 0.055)
    # In the shadows LittleCMS is coarser, as its tables have 8 bits.
    assert np.abs(found - 255 * curve)[stored > 0.1].max() < 2
    assert np.abs(found - 255 * curve).mean() < 1


@pytest.mark.parametrize(("mode", "space"), [("L", "LAB"), ("RGB", "LAB"), ("CMYK", "sRGB")])
def test_a_profile_of_another_space_than_the_pixels_is_refused(mode, space):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile(space)).tobytes()
    encoded = saved(photos.photo(6).convert(mode), profile, "TIFF")
    decode(encoded, STORED)
    with pytest.raises(RefusedError, match="colour profile cannot be used"):
        decode(encoded, CONVERTED)


@pytest.mark.parametrize("profile", [b"no profile", b"", profile_of("healthy_p3.jpg")[:200]])
def test_a_broken_profile_is_refused_only_where_it_is_used(profile):
    encoded = saved(photos.photo(7, 300, 200), profile, "JPEG")
    decode(encoded, STORED)
    if profile:
        with pytest.raises(RefusedError, match="colour profile cannot be used"):
            decode(encoded, CONVERTED)


def test_the_colour_is_a_fact_of_the_artefact_unless_it_is_as_stored():
    spec = load_spec("oral_cancer")
    other = spec.preprocessing.model_copy(update={"colour": Colour.TO_SRGB})
    changed = spec.model_copy(update={"preprocessing": other})
    # Of an artefact that was exported before there was a choice.
    assert spec.member_hash("vgg16") == OLD
    assert changed.member_hash("vgg16") != spec.member_hash("vgg16")
    assert DecodeRules.from_spec(changed.model_dump(mode="json")).colour is Colour.TO_SRGB


OLD = "e5c042b2658ed9b69cdb646cce7aed42ceff678abd9366ba3857020692c2e597"


def test_by_fast_a_profile_is_used_too():
    shown = photos.photo(8, 2000, 1600)
    profile = profile_of("healthy_p3.jpg")
    source = ImageCms.ImageCmsProfile(BytesIO(profile))
    stored = ImageCms.profileToProfile(shown, SRGB, source, outputMode="RGB")
    encoded = saved(stored, profile, "JPEG")
    exact, fast = decode(encoded, CONVERTED), decode(encoded, replace(CONVERTED, reserve=3))
    assert np.abs(exact.pixels.astype(int) - fast.pixels).mean() < 1
    assert apart(encoded, replace(CONVERTED, reserve=3), saved(shown, None)) < 2
