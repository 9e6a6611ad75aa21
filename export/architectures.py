"""The architectures that a pipeline's YAML may name, without weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from export.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn


class UnknownArchitectureError(ExportError):
    """A name that is not in `ARCHITECTURES`."""


def _vgg16_small_head(classes: int) -> nn.Module:
    from export.vgg import vgg16_small_head  # noqa: PLC0415 - torch: keep --help quick

    return vgg16_small_head(classes)


def _regnety_002(classes: int) -> nn.Module:
    return _timm("regnety_002", classes)


def _regnety_320(classes: int) -> nn.Module:
    return _timm("regnety_320", classes)


ARCHITECTURES: dict[str, Callable[[int], nn.Module]] = {
    "vgg16_small_head": _vgg16_small_head,
    "regnety_002": _regnety_002,
    "regnety_320": _regnety_320,
}


def build(name: str, classes: int) -> nn.Module:
    """An architecture with random weights; nothing is downloaded.

    The model takes normalised FP32 [N, 3, H, W] and returns logits FP32 [N, classes].

    Raises:
        UnknownArchitectureError: no such name; the message lists the known ones.
    """
    if name not in ARCHITECTURES:
        raise UnknownArchitectureError(
            f"no architecture {name!r}; the known ones are: {', '.join(sorted(ARCHITECTURES))}. "
            "Correct `architecture` in the YAML, or add a builder to export/architectures.py"
        )
    return ARCHITECTURES[name](classes)


def _timm(name: str, classes: int) -> nn.Module:
    from export.torchvision_ops import ensure_declared  # noqa: PLC0415 - torch: keep --help quick

    ensure_declared()
    import timm  # noqa: PLC0415 - it imports torchvision, which needs the line above

    model: nn.Module = timm.create_model(name, pretrained=False, num_classes=classes)
    return model
