"""The one list of formats: what is told by the first bytes, and that no copy of it stands."""

from pathlib import Path

import pytest

from pipelines.formats import READ, ImageFormat, refusal_text, sniff

ROOT = Path(__file__).parents[3]


def ftyp(major, *compatible):
    brands = b"".join(compatible)
    return (16 + len(brands)).to_bytes(4) + b"ftyp" + major + bytes(4) + brands + b"rest"


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"\xff\xd8\xff\xe0rest", "jpeg"),
        (b"\x89PNG\r\n\x1a\nrest", "png"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "webp"),
        (b"BM\x00\x00", "bmp"),
        (b"II*\x00rest", "tiff"),
        (b"MM\x00*rest", "tiff"),
        (b"GIF89a", "gif"),
        (b"GIF87a", "gif"),
        (ftyp(b"heic", b"mif1", b"heic"), "heic"),
        (ftyp(b"mif1", b"mif1", b"heix"), "heic"),
        (ftyp(b"avif", b"mif1", b"miaf"), "avif"),
        (ftyp(b"mif1", b"avif"), "avif"),
        (ftyp(b"isom", b"mp41"), None),
        (ftyp(b"crx ", b"isom"), None),
        (b"II*\x00\x10\x00\x00\x00CR\x02\x00", None),
        (b"RIFF\x00\x00\x00\x00WAVE", None),
        (b"%PDF-1.7", None),
        (b"<svg>", None),
        (b"hello", None),
        (b"\xff\xd8", None),
        (b"\x00\x00\x00\x18ftyp", None),
        (b"", None),
    ],
)
def test_a_format_is_known_by_its_first_bytes(data, name):
    assert sniff(data) == name


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"%PDF-1.7", "the format PDF"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "the format JPEG 2000"),
        (b"\xff\x0a rest", "iPhone: Settings, Camera"),
        (ftyp(b"qt  "), "Live Photos"),
        (ftyp(b"mif1", b"jpeg"), "the format HEIF of another codec"),
        (ftyp(b"crx ", b"isom"), "Set the camera to take JPEG"),
        (b"II*\x00\x10\x00\x00\x00CR\x02\x00", "camera raw"),
        (bytes(128) + b"DICM", "the format DICOM"),
        (b"hello", "the format is not supported"),
    ],
)
def test_a_refusal_names_the_format_that_came_and_those_that_are_read(data, words):
    text = refusal_text(data)
    assert words in text
    assert READ in text


def test_the_documentation_names_each_format():
    documented = (ROOT / "docs/api.md").read_text()
    assert all(each.label in documented for each in ImageFormat)
    assert READ in documented
