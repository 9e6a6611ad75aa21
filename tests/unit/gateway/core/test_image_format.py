import pytest

from gateway.core.request import image_format


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"\xff\xd8\xff\xe0rest", "jpeg"),
        (b"\x89PNG\r\n\x1a\nrest", "png"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "webp"),
        (b"BM\x00\x00", "bmp"),
        (b"II*\x00rest", "tiff"),
        (b"MM\x00*rest", "tiff"),
        (b"RIFF\x00\x00\x00\x00WAVE", None),
        (b"GIF89a", None),
        (b"%PDF-1.7", None),
        (b"<svg>", None),
        (b"hello", None),
        (b"\xff\xd8", None),
        (b"", None),
    ],
)
def test_a_format_is_known_by_its_first_bytes(data, name):
    assert image_format(data) == name
