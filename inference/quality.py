"""Measures the quality of a photo: sharpness, exposure, size, compression, colour profile.

Each is one number, in the order of `enums.Measure`; the pipeline's bounds decide what is warned of.

- `sharpness`: variance of the Laplacian (its 3 x 3 kernel of four neighbours) of the luminance, in
  squared levels of 255, of what the model sees: blur that the model's resize removes does not
  count. A model's input of more than 320 pixels is divided by a whole number; a photo that keeps
  its size is resized to 320. Source: Pech-Pacheco et al., Diatom autofocusing in
  brightfield microscopy, ICPR 2000; LAP4 in Pertuz et al., Analysis of focus measure operators for
  shape-from-focus, Pattern Recognition 46, 2013.
- `dark_share`: share of the pixels whose luminance is below 40 of 255, which is 2 % of the light.
- `bright_share`: share of the red, green and blue values of 250 or more, in [0, 1]: what a sensor
  clips, one channel before the others.
- `resolution`: pixels of the photo, along a side, for each one of the model's input; below 1 the
  photo is enlarged.
- `blocking`: the step in luminance across the borders of 8 x 8 blocks, divided by that within
  blocks; about 1 where there are none. The blocks are searched at every offset, so that those of
  an earlier compression are found in a photo that was cropped, turned, or saved again as PNG or
  with high quality; quantisation tables would only tell of the last one. Measured at the photo's
  own size, in its centre. After Wang, Sheikh and Bovik, No-reference perceptual quality assessment
  of JPEG compressed images, ICIP 2002 (B and A there), with three changes. At each offset the
  median of the steps counts, so that an edge of an object is no block. The largest is divided by
  the third largest, so that enlarging a photo twofold makes none. The smaller of both directions
  counts, so that stripes are none.
- `colour_shift`: the largest change of a red, green or blue value that an embedded colour profile
  (ICC) would make if it were applied; 0 without one, or where it is applied.
- `brightness`: the mean luminance, 0 to 255, of what the model sees. No bound judges it: a photo of
  a dark subject is no poor one. Drift compares many photos by it.
"""

import hashlib
import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inference.colour import to_rgb, to_srgb
from inference.errors import RefusedError
from inference.resize import Geometry
from inference.rules import DecodeRules, QualityRules
from pipelines.enums import Colour, Measure, Resize
from pipelines.protocol import Refusal

Measures = NDArray[np.float32]
"""[..., 7], in the order of `enums.Measure`; NaN where one does not apply."""
NOT_JUDGED = -1
"""Of a measure that is NaN or has no bound."""
_SIDE = 320
"""Long side, in pixels, up to which sharpness and exposure are measured."""
_DARK, _BRIGHT = 40, 250
_BLOCK = 8
_WINDOW = 256
"""Sides of the part that is searched for blocks."""
_LEAST_PERIOD = 4
"""Of blocks in a JPEG that was decoded smaller; below it a block has no inner steps to compare."""
_FAINT = 0.25
"""Levels added to both steps, so that rounding in flat parts is no block."""
_PROFILES_KEPT = 64
_SHIFTS: dict[tuple[str, bytes], float] = {}
"""The `colour_shift` of profiles seen so far, by mode and SHA-256: photos of a device share one."""
_GRID = {"L": (17, 1), "RGB": (5, 3), "CMYK": (3, 4)}
"""By the mode of the pixels: values on each axis of the grid of colours, and axes."""


def seen_of(fitted: Image.Image, geometry: Geometry, rules: DecodeRules) -> Image.Image:
    """What the model sees of the photo, `fitted`, without a border, divided by a whole number.

    At a long side of 320 pixels or less; of a photo that keeps its size, of less than 640.
    """
    box = geometry.within(fitted.size)
    scale = max(box[2] - box[0], box[3] - box[1]) / _SIDE
    divisor = math.floor(scale) if rules.resize is Resize.NONE else math.ceil(scale)
    if divisor > 1:
        return fitted.reduce(divisor, box)
    return fitted if box == (0, 0, *fitted.size) else fitted.crop(box)


def measure(
    photo: Image.Image,
    seen: Image.Image,
    colours: NDArray[np.uint8],
    geometry: Geometry,
    rules: DecodeRules,
    *,
    shift: float,
) -> Measures:
    """The measures of one photo, FP32 [7].

    Args:
        photo: upright, RGB; its sides may have been divided by 2, 4 or 8 in decoding.
        seen: `seen_of` it.
        colours: the pixels of `seen`, [height, width, 3].
        geometry: from the whole photo to what the model sees.
        rules: by which it was fitted.
        shift: `colour_shift_of` it.
    """
    luminance = np.asarray(_at_scale(seen.convert("L"), rules))
    found = {
        Measure.SHARPNESS: _sharpness(luminance),
        Measure.DARK_SHARE: np.count_nonzero(luminance < _DARK) / luminance.size,
        Measure.BRIGHT_SHARE: np.count_nonzero(colours >= _BRIGHT) / colours.size,
        Measure.RESOLUTION: _resolution(geometry, rules),
        Measure.BLOCKING: _blocking(photo, _BLOCK // (geometry.width // photo.width)),
        Measure.COLOUR_SHIFT: shift,
        Measure.BRIGHTNESS: float(luminance.mean()),
    }
    return np.array([found[name] for name in Measure], np.float32)


def colour_shift_of(image: Image.Image, colour: Colour) -> float:
    """The `colour_shift` of an opened image, in levels of 255; NaN of a profile that is broken."""
    profile = image.info.get("icc_profile")
    if not profile or colour is Colour.TO_SRGB:
        return 0.0
    mode = "CMYK" if image.mode == "CMYK" else "L" if image.mode[0] in "L1I" else "RGB"
    digest = hashlib.sha256(profile).digest()
    if (shift := _SHIFTS.get((mode, digest))) is None:
        if len(_SHIFTS) >= _PROFILES_KEPT:
            _SHIFTS.clear()
        shift = _SHIFTS[mode, digest] = _shift(mode, profile)
    return shift


def judge(measures: Measures, rules: QualityRules) -> NDArray[np.int32]:
    """INT32 [..., 6], by `enums.QualityWarning`: 1 beyond its bound, 0 within, -1 not judged.

    Brightness, the last measure, has no bound.
    """
    judged = np.full((*measures.shape[:-1], len(rules.bounds)), NOT_JUDGED, np.int32)
    for index, bound in enumerate(rules.bounds):
        if bound is not None:
            found, limit = measures[..., index], np.float32(bound.limit)
            beyond = found > limit if bound.above else found < limit
            judged[..., index] = np.where(np.isnan(found), NOT_JUDGED, beyond)
    return judged


def refuse_poor(measures: Measures, rules: QualityRules) -> None:
    """Refuses a photo, of measures [7], that is beyond a bound whose YAML says so.

    Raises:
        RefusedError: with the text of the first of these bounds.
    """
    if not any(bound is not None and bound.refuse for bound in rules.bounds):
        return
    for bound, judged in zip(rules.bounds, judge(measures, rules), strict=True):
        if bound is not None and bound.refuse and judged == 1:
            text = bound.text[:1].lower() + bound.text[1:]
            raise RefusedError(Refusal.IMAGE_QUALITY, text)


def _at_scale(luminance: Image.Image, rules: DecodeRules) -> Image.Image:
    """The luminance at a long side of 320 pixels or less, where a photo keeps its size."""
    scale = max(luminance.size) / _SIDE
    if rules.resize is not Resize.NONE or scale <= 1:
        return luminance
    size = (max(1, round(luminance.width / scale)), max(1, round(luminance.height / scale)))
    return luminance.resize(size, Image.Resampling.BOX)


def _sharpness(luminance: NDArray[np.uint8]) -> float:
    if min(luminance.shape) < 3:  # noqa: PLR2004 - the kernel's side
        return 0.0
    width = luminance.shape[1]
    # Row behind row: what lies left of a row's first pixel is the end of the row before.
    grey = luminance.astype(np.int16).reshape(-1)
    inner = grey[width:-width]
    laplacian = grey[: -2 * width] + grey[2 * width :]
    laplacian[1:] += inner[:-1]
    laplacian[:-1] += inner[1:]
    laplacian -= inner << 2
    rows = laplacian.reshape(-1, width)
    rows[:, 0] = rows[:, -1] = 0
    values, count = laplacian.astype(np.float32), rows.shape[0] * (width - 2)
    # Its mean is near 0, so nothing is lost; numpy's own variance takes twice as long.
    return max(0.0, float(values @ values) / count - (float(values.sum()) / count) ** 2)


def _resolution(geometry: Geometry, rules: DecodeRules) -> float:
    if rules.resize is Resize.NONE:
        side = rules.quality.side
        return np.nan if side is None else min(geometry.width, geometry.height) / side
    return 1 / max(geometry.x_scale, geometry.y_scale)


def _blocking(photo: Image.Image, period: int) -> float:
    """NaN where the photo is too small, or was decoded too small, to show blocks.

    Args:
        photo: RGB.
        period: pixels from one border of blocks to the next.
    """
    width, height = ((min(side, _WINDOW + 1) - 1) // period * period + 1 for side in photo.size)
    if period < _LEAST_PERIOD or min(width, height) <= 2 * _BLOCK:
        return np.nan
    left, top = (photo.width - width) // 2, (photo.height - height) // 2
    window = photo.crop((left, top, left + width, top + height)).convert("L")
    grey = np.asarray(window)
    return min(_border_ratio(grey, period), _border_ratio(grey.T, period))


def _border_ratio(grey: NDArray[np.uint8], period: int) -> float:
    """Of the columns of [H, n * period + 1]: the step at the borders, divided by that between."""
    ahead, behind = grey[:, 1:], grey[:, :-1]
    differences = np.maximum(ahead, behind) - np.minimum(ahead, behind)
    # At most 257 x 255, which 16 bits hold.
    steps = differences.sum(axis=0, dtype=np.uint16) / len(grey)
    # The middle of an even number is the upper one here; np.median takes several times as long.
    by_offset = np.sort(steps.reshape(-1, period), axis=0)[len(steps) // period // 2]
    by_offset.sort()
    return float((by_offset[-1] + _FAINT) / (by_offset[-3] + _FAINT))


def _shift(mode: str, profile: bytes) -> float:
    """The largest change of a grid of colours in this mode, if the profile is applied to it."""
    values, axes = _GRID[mode]
    axis = np.linspace(0, 255, values).round().astype(np.uint8)
    grid = np.stack(np.meshgrid(*[axis] * axes), axis=-1).reshape(1, -1, axes)
    probe = Image.frombytes(mode, (grid.shape[1], 1), grid.tobytes())
    read = np.asarray(to_rgb(probe)).astype(np.int16)
    probe.info["icc_profile"] = profile
    try:
        meant = np.asarray(to_srgb(probe))
    except ValueError:
        return np.nan
    return float(np.abs(meant - read).max())
