"""Compares what a checkpoint says of its preprocessing with the pipeline's YAML."""

import argparse
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from export.checkpoint_file import CheckpointFile
from export.errors import CheckpointError
from export.read_options import ReadOptions
from pipelines.enums import Resize
from pipelines.preprocessing import Preprocessing

Settings = Mapping[str, Any]
Triple = tuple[float, ...]
_WHITE = 255.0
_TOLERANCE = 0.5 / _WHITE
"""Of a mean or standard deviation of pixels in [0, 1]: half a grey level."""
_SHOWN = 6
_CHANNELS = 3
_DEPTH = 4
_CONTAINERS = re.compile(
    r"args|opt|cfg|conf|config|hparams|hyper_parameters|data|dataset|data_config|meta|metadata|"
    r"(pretrained|default|data|model)_(cfg|config|args)|image_processor|(pre)?process(ing|or)?|"
    r"(image_|val_|test_|eval_)?transforms?|normali[sz](e|ation)"
)
"""Keys of settings that may hold those of the preprocessing."""
_MEAN = ("mean", "image_mean", "pixel_mean", "norm_mean")
_STD = ("std", "image_std", "pixel_std", "norm_std")
_SIZE = ("input_size", "img_size", "image_size", "crop_size", "imgsz", "size")
_INTERPOLATION = ("interpolation", "resample")
_ORDER = ("channel_order", "color_mode", "color_space", "color", "input_format", "channel_format")
# Whether pixels are BGR where the key is true.
_SWAPPED = {"bgr": True, "to_bgr": True, "do_flip_channel_order": True, "to_rgb": False}
_OF_PILLOW = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")
_CROP_MODES = {"squash": Resize.STRETCH, "border": Resize.LETTERBOX}
_PRINTED = {
    "mean": re.compile(r"\bmean=[\[(]([\d., ]+)[\])]"),
    "std": re.compile(r"\bstd=[\[(]([\d., ]+)[\])]"),
    "interpolation": re.compile(r"\binterpolation=(?:InterpolationMode\.)?(\w+)"),
    "do_center_crop": re.compile(r"(CenterCrop)\("),
}
"""Of transforms of torchvision that were saved as text."""
_SIDECARS = {"preprocessor_config.json": None, "config.json": ("pretrained_cfg", "default_cfg")}
"""Files beside a checkpoint: of transformers, and of timm, where only these keys are of it."""


def compare(file: CheckpointFile, wanted: Preprocessing, options: ReadOptions) -> tuple[str, ...]:
    """Notes on the preprocessing that a checkpoint states, in itself or in a file beside it.

    Args:
        file: the checkpoint.
        wanted: what the YAML says, which is what is served.
        options: say whether the YAML is known to be right.

    Raises:
        CheckpointError: the two differ, and it was not confirmed that the YAML is right.
    """
    differences = list(
        dict.fromkeys(
            f"{what} in {where or file.path.name}, {yaml} in the YAML"
            for where, settings in _stated(file)
            for what, yaml in _differences(settings, wanted)
        )
    )
    if not differences:
        return ()
    more = [f"and {len(differences) - _SHOWN} more"] if len(differences) > _SHOWN else []
    text = "; ".join([*differences[:_SHOWN], *more])
    if options.preprocessing_confirmed:
        return (f"its own note of the preprocessing was declared wrong: {text}",)
    raise CheckpointError(
        f"{file.path}: says another preprocessing than the YAML: {text}: change `preprocessing` in "
        "the YAML, or give --preprocessing-confirmed where the checkpoint's note is known to be "
        "wrong"
    )


def _stated(file: CheckpointFile) -> Iterator[tuple[str, Settings]]:
    """Settings, and where they stand."""
    yield from _within(_decoded(file.metadata), "", 0)
    yield from _within(file.contents, "", 0)
    for name, keys in _SIDECARS.items():
        path = file.path.with_name(name)
        if not path.is_file():
            continue
        try:
            data = json.loads(path.read_bytes())
        except ValueError:
            raise CheckpointError(
                f"{path}: stands beside the checkpoint and is not valid JSON"
            ) from None
        if isinstance(data, Mapping):
            for key in keys or ("",):
                part = data.get(key) if key else data
                if isinstance(part, Mapping):
                    yield from _within(part, name, 0)


def _decoded(metadata: Mapping[str, str]) -> Settings:
    """The metadata of safetensors, whose values are text: JSON, or plain."""
    decoded: dict[str, Any] = {}
    for key, text in metadata.items():
        try:
            decoded[key] = json.loads(text)
        except ValueError:
            decoded[key] = text
    return decoded


def _within(settings: Settings, where: str, depth: int) -> Iterator[tuple[str, Settings]]:
    yield where, settings
    for key, value in settings.items():
        if depth == _DEPTH or not isinstance(key, str) or not _CONTAINERS.fullmatch(key.lower()):
            continue
        inner = vars(value) if isinstance(value, argparse.Namespace) else value
        place = f"{where}.{key}" if where else key
        if isinstance(inner, Mapping):
            yield from _within(inner, place, depth + 1)
        elif isinstance(inner, str):
            printed = {name: found[1] for name, p in _PRINTED.items() if (found := p.search(inner))}
            yield (
                place,
                {
                    name: [float(number) for number in text.split(",")]
                    if name in {"mean", "std"}
                    else text
                    for name, text in printed.items()
                },
            )


def _differences(said: Settings, wanted: Preprocessing) -> Iterator[tuple[str, str]]:
    """What settings say otherwise, and what the YAML says, in words of a message."""
    yield from _of_normalisation(said, wanted)
    yield from _of_size(said, wanted)
    for key in _INTERPOLATION:
        name = _interpolation(said.get(key))
        if name and wanted.interpolation and name != wanted.interpolation:
            yield f"{key} {name}", wanted.interpolation
    orders = {str(said[key]).lower(): key for key in _ORDER if isinstance(said.get(key), str)}
    if "bgr" in orders:
        yield f"{orders['bgr']} BGR", "RGB"
    for key, swapped in _SWAPPED.items():
        if isinstance(said.get(key), bool) and said[key] == swapped:
            yield f"{key} {said[key]} (BGR)", "RGB"


def _of_normalisation(said: Settings, wanted: Preprocessing) -> Iterator[tuple[str, str]]:
    mean, std = _first(said, _MEAN), _first(said, _STD)
    off = said.get("do_normalize") is False
    scaled = "do_rescale" in said or "rescale_factor" in said
    if not (mean or std or off or scaled):
        return
    # One unit of what is normalised, in pixels of [0, 1].
    if scaled:
        factor = said.get("rescale_factor")
        factor = factor if isinstance(factor, float | int) and factor else 1 / _WHITE
        unit = 1 / (_WHITE * factor) if said.get("do_rescale", True) else 1 / _WHITE
    else:
        unit = 1 / _WHITE if max(*(mean or (0, 0)), *(std or (0, 0))) > 1 else 1.0
    if off:
        mean, std = (0.0,) * 3, (1.0,) * 3
    elif scaled and not mean and not std:
        mean, std = (0.0,) * 3, (unit,) * 3
        if abs(unit - 1) < _TOLERANCE:
            return
        yield f"pixels of [0, {1 / unit:g}]", "pixels of [0, 1]"
        return
    for name, values, yaml in (("mean", mean, wanted.mean), ("std", std, wanted.std)):
        if values is None:
            continue
        found = [value * unit for value in values]
        if _differ(found, yaml):
            reverse = "" if _differ(found[::-1], yaml) else " (the order BGR)"
            scale = "" if unit == 1 else f" of pixels of [0, {1 / unit:g}]"
            yield f"{name} {list(values)}{scale}{reverse}", f"{list(yaml)}"


def _differ(found: list[float], yaml: Triple) -> bool:
    return any(abs(one - other) > _TOLERANCE for one, other in zip(found, yaml, strict=True))


def _of_size(said: Settings, wanted: Preprocessing) -> Iterator[tuple[str, str]]:
    if wanted.size is None:
        return  # the network resizes, by a configuration of its own
    height, width = wanted.size
    yaml = f"{height} x {width}"
    for key in _SIZE:
        value = said.get(key)
        if isinstance(value, Mapping):
            edges = {
                name: value[name] for name in ("shortest_edge", "longest_edge") if name in value
            }
            if edges:
                letterbox = wanted.resize is Resize.LETTERBOX and "longest_edge" in edges
                if not letterbox or height != width or set(edges.values()) != {height}:
                    text = ", ".join(f"{name} {edge}" for name, edge in edges.items())
                    yield text, f"{wanted.resize} to {yaml}"
                continue
            value = [
                value.get(f"{prefix}{side}")
                for prefix in ("", "max_")
                for side in ("height", "width")
                if f"{prefix}{side}" in value
            ]
        size = _sides(value)
        if size and size != wanted.size:
            yield f"{key} {size[0]} x {size[1]}", yaml
    crop = said.get("crop_pct")
    if isinstance(crop, float | int) and not isinstance(crop, bool) and crop and crop != 1:
        yield f"crop_pct {crop:g}", f"{wanted.resize} of the whole image"
    elif said.get("do_center_crop"):
        yield "a crop of the centre", f"{wanted.resize} of the whole image"
    mode = said.get("crop_mode")
    if isinstance(mode, str) and mode and _CROP_MODES.get(mode) is not wanted.resize:
        yield f"crop_mode {mode}", f"resize: {wanted.resize}"
    if said.get("do_resize") is False:
        yield "do_resize False", f"resize: {wanted.resize}"


def _first(said: Settings, keys: tuple[str, ...]) -> Triple | None:
    """Three numbers of the first of some keys that has any; one number counts for all channels."""
    for key in keys:
        value = said.get(key)
        if isinstance(value, torch.Tensor):
            value = value.tolist()
        values: list[Any] = list(value) if isinstance(value, list | tuple) else [value]
        numbers = [
            float(each)
            for each in values
            if isinstance(each, float | int) and not isinstance(each, bool)
        ]
        if len(numbers) == len(values) and len(numbers) in {1, _CHANNELS}:
            return tuple(numbers * (_CHANNELS // len(numbers)))
    return None


def _sides(value: object) -> tuple[int, int] | None:
    """Height and width, of one number, two, or channels and two."""
    values: list[Any] = list(value) if isinstance(value, list | tuple) else [value]
    sides = [each for each in values if isinstance(each, int) and not isinstance(each, bool)]
    if not sides or len(sides) != len(values):
        return None
    return (sides * 2)[-2], sides[-1]


def _interpolation(value: object) -> str | None:
    """Its name in words of the YAML; None where it is not said, or chosen by chance in training."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(_OF_PILLOW):
        return _OF_PILLOW[value]
    if not isinstance(value, str) or not value:
        return None
    name = value.lower().rpartition(".")[2]
    return None if name == "random" else name
