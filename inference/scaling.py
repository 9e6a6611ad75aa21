"""How far `fast` lets a JPEG shrink while it is decoded.

Standard library only, as a backend's process imports it (pipelines/protocol.py).
"""

_EIGHTHS = (8, 4, 2)
"""What libjpeg divides by at little cost: 4, 2 or 1 of 8 x 8 coefficients are left in a row."""


def scaled_size(size: tuple[int, int], target: tuple[int, int], reserve: int) -> tuple[int, int]:
    """The smallest size to decode a JPEG at.

    Both sides are divided by 8, 4, 2 or 1, always without a remainder: a last column that shows
    less than the others would shift the image by a fraction of a pixel. Either way round, the
    short side keeps `reserve` pixels for each one of the target's long side, so the EXIF
    orientation does not matter.

    Args:
        size: width and height of the whole image.
        target: width and height that it is then resized to; of a crop, that is cut out.
        reserve: pixels, along each side, that are left for each one of the target; 1 or more.

    Returns:
        Width and height; `size` where nothing can be saved.
    """
    width, height = size
    for divisor in _EIGHTHS:
        if width % divisor == height % divisor == 0 and (
            min(size) // divisor >= reserve * max(target)
        ):
            return width // divisor, height // divisor
    return size
