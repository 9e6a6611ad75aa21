"""The image formats that are read, and the names of those that are not; told by the first bytes.

The one list of the project. Standard library only, as the gateway and backend processes read it.
"""

from enum import StrEnum


class ImageFormat(StrEnum):
    """A format that is read, by the word that metrics and logs have for it."""

    JPEG = "jpeg"
    PNG = "png"
    WEBP = "webp"
    BMP = "bmp"
    TIFF = "tiff"
    GIF = "gif"
    AVIF = "avif"
    HEIC = "heic"

    @property
    def label(self) -> str:
        """Its name for people, as they write it."""
        return "WebP" if self is ImageFormat.WEBP else self.upper()

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Of file names, in lower case, with the dot."""
        return _SUFFIXES[self]


_SUFFIXES = {
    ImageFormat.JPEG: (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    ImageFormat.PNG: (".png", ".apng"),
    ImageFormat.WEBP: (".webp",),
    ImageFormat.BMP: (".bmp",),
    ImageFormat.TIFF: (".tif", ".tiff"),
    ImageFormat.GIF: (".gif",),
    ImageFormat.AVIF: (".avif",),
    ImageFormat.HEIC: (".heic", ".heif", ".hif"),
}
READ = ", ".join(each.label for each in ImageFormat).replace(", HEIC", " or HEIC")
"""All of them, for an error's remedy."""
_SIGNATURES = (
    (b"\xff\xd8\xff", ImageFormat.JPEG),
    (b"\x89PNG\r\n\x1a\n", ImageFormat.PNG),
    (b"BM", ImageFormat.BMP),
    (b"GIF87a", ImageFormat.GIF),
    (b"GIF89a", ImageFormat.GIF),
    (b"II*\0", ImageFormat.TIFF),
    (b"MM\0*", ImageFormat.TIFF),
    (b"II+\0", ImageFormat.TIFF),
    (b"MM\0+", ImageFormat.TIFF),
)
_AVIF = {b"avif", b"avis"}
_HEIC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"}
_HEIF = {b"mif1", b"msf1"}
"""Brands of pictures in that container, whatever their codec."""
_OTHERS = (
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"\xff\x0a", "JPEG XL"),
    (b"%PDF", "PDF"),
    (b"%!PS", "PostScript"),
    (b"\xc5\xd0\xd3\xc6", "PostScript"),
    (b"8BPS", "Photoshop"),
    (b"FUJIFILMCCD-RAW", "camera raw"),
    (b"IIU\0", "camera raw"),
    (b"IIRO", "camera raw"),
    (b"\0\0\1\0", "ICO"),
    (b"\0\0\2\0", "CUR"),
    (b"icns", "ICNS"),
    (b"qoif", "QOI"),
    (b"DDS ", "DDS"),
    (b"BLP", "BLP"),
    (b"\x01\xda", "SGI"),
    (b"DanM", "MSP"),
    (b"LinS", "MSP"),
    *((bytes((10, version, 1)), "PCX") for version in (0, 2, 3, 4, 5)),
    (b"\x28\0\0\0", "DIB"),
    (b"Image type:", "IM"),
    (b"#define", "XBM"),
    (b"/* XPM */", "XPM"),
    (b"<svg", "SVG"),
    (b"<?xml", "XML or SVG"),
    (b"PK\x03\x04", "ZIP"),
    (b"\x89HDF", "HDF5"),
    (b"SIMPLE  =", "FITS"),
    *((b"P%d" % number, "PNM") for number in range(1, 8)),
    (b"Pf", "PFM"),
    (b"PF", "PFM"),
)
_DICOM_AT = 128
_TGA_END = b"TRUEVISION-XFILE.\0"


def sniff(data: bytes) -> ImageFormat | None:
    """The format that the first bytes claim; None for one that is not read.

    Whether the rest is sound, the decode step in Triton decides.
    """
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return ImageFormat.WEBP
    brands = _brands(data)
    if brands & _HEIC:
        return ImageFormat.HEIC
    if brands & _AVIF:
        return ImageFormat.AVIF
    if data[:10] == b"II*\0\x10\0\0\0CR":
        return None
    return next((read for start, read in _SIGNATURES if data.startswith(start)), None)


def refusal_text(data: bytes) -> str:
    """What to tell of a file in a format that is not read: its name, and the remedy."""
    name = _name(data)
    came = f"the format {name} is not supported" if name else "the format is not supported"
    return f"{came}. Send {READ}.{_ADVICE.get(name, '')}"


_ADVICE = {
    "video": " A phone can be set to take photos without motion (Live Photos).",
    "camera raw": " Set the camera to take JPEG.",
    "JPEG XL": " Set the phone to take JPEG (iPhone: Settings, Camera, Formats, Most Compatible).",
}


def _name(data: bytes) -> str:
    """The name of a format that is not read; empty where it is not known."""
    if data[:10] == b"II*\0\x10\0\0\0CR" or data[4:12] == b"ftypcrx ":
        return "camera raw"
    if brands := _brands(data):
        return "HEIF of another codec" if brands & _HEIF else "video"
    if data[_DICOM_AT : _DICOM_AT + 4] == b"DICM":
        return "DICOM"
    if data.endswith(_TGA_END):
        return "TGA"
    start = data[:512].lstrip()
    return next(
        (name for mark, name in _OTHERS if data.startswith(mark) or start.startswith(mark)), ""
    )


def _brands(data: bytes) -> set[bytes]:
    """The brands of a file in the container that HEIC, AVIF and MP4 share."""
    if data[4:8] != b"ftyp":
        return set()
    end = min(int.from_bytes(data[:4]), 512)
    return {data[8:12], *(data[at : at + 4] for at in range(16, end, 4))}
