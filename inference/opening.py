"""Opens an encoded image by the format that its first bytes claim, at the picture that is meant."""

from io import BytesIO

from PIL import Image

from inference.errors import RefusedError
from inference.header import claimed_format
from inference.tiff import check_tiff, to_page
from pipelines.formats import READ, ImageFormat
from pipelines.protocol import Refusal

_PLUGINS = {each: each.upper() for each in ImageFormat} | {ImageFormat.HEIC: "HEIF"}
"""Pillow's names. Only one is tried: a file is never read as another format than it claims."""


def open_image(data: bytes) -> Image.Image:
    """Opens a file of the format that it claims; `prepare` and `load` read the rest.

    Of an animation the first frame that is shown counts, of a HEIC the primary picture, of a TIFF
    its only full page.

    Raises:
        RefusedError: of no format that is read, or several pages.
        Exception: whatever Pillow raises on a broken file.
    """
    claimed = claimed_format(data)
    if claimed is ImageFormat.HEIC:
        _register_heic()
    image = Image.open(BytesIO(data), formats=[_PLUGINS[claimed]])
    if claimed is ImageFormat.TIFF:
        to_page(image)
    return image


def prepare(image: Image.Image, data: bytes) -> None:
    """Readies an opened image, whose size is within limits, for `load`.

    Raises:
        RefusedError, ValueError: data are missing or not told, or that could not be seen.
    """
    if image.format == "TIFF":
        check_tiff(image, data)
    elif getattr(image, "default_image", False):
        # An APNG whose default image is not part of the animation; this decodes it.
        image.seek(1)


def _register_heic() -> None:
    if "HEIF" in Image.OPEN:
        return
    try:
        from pillow_heif import register_heif_opener  # noqa: PLC0415 - large, and may be absent
    except ImportError:
        raise RefusedError(
            Refusal.IMAGE_FORMAT,
            "HEIC is not read by this installation. Install pillow-heif there, or send "
            f"another of {READ}. A phone can be set to take JPEG "
            "(iPhone: Settings, Camera, Formats, Most Compatible).",
        ) from None
    register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)
