"""Class colours that colour-blind people can tell apart, and a text colour for each.

Source: Okabe and Ito, Color Universal Design, 2008. Black is left out: it is for outlines.
"""

Rgb = tuple[int, int, int]

BLACK: Rgb = (0, 0, 0)
WHITE: Rgb = (255, 255, 255)
_COLOURS: tuple[Rgb, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)


def colour(index: int) -> Rgb:
    """Of a class; the eighth has the first one's again, and its label tells them apart."""
    return _COLOURS[index % len(_COLOURS)]


def text_on(background: Rgb) -> Rgb:
    """Black or white, whichever has the higher contrast by WCAG 2.2's relative luminance."""
    linear = [
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4  # noqa: PLR2004
        for value in (channel / 255 for channel in background)
    ]
    luminance = sum(w * value for w, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    # (1 + 0.05) / (L + 0.05) against (L + 0.05) / (0 + 0.05).
    return BLACK if (luminance + 0.05) ** 2 > 0.05 * 1.05 else WHITE
