"""Builds the classifiers that a pipeline's YAML may name, with random weights."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from export.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn


class UnknownArchitectureError(ExportError):
    """A name that is not in `ARCHITECTURES`."""


def _vgg16_small_head(logits: int) -> nn.Module:
    from export.vgg import vgg16_small_head  # noqa: PLC0415 - torch: keep --help quick

    return vgg16_small_head(logits)


def _mlp_150528(logits: int) -> nn.Module:
    from export.mlp import mlp_150528  # noqa: PLC0415 - torch: keep --help quick

    return mlp_150528(logits)


def of_timm(name: str, logits: int, **widths: int) -> nn.Module:
    """A model of timm with random weights, in other widths where given, as `embed_dim`."""
    from export.torchvision_ops import ensure_declared  # noqa: PLC0415 - torch: keep --help quick

    ensure_declared()
    import timm  # noqa: PLC0415 - it imports torchvision, which needs the line above

    model: nn.Module = timm.create_model(name, pretrained=False, num_classes=logits, **widths)
    return model


_OF_TIMM = (
    "efficientnet_b0",
    "mobilenetv3_small_100",
    "regnety_002",
    "regnety_320",
    "vit_base_patch16_224",
)
ARCHITECTURES: dict[str, Callable[[int], nn.Module]] = {
    "mlp_150528": _mlp_150528,
    "vgg16_small_head": _vgg16_small_head,
    **{name: functools.partial(of_timm, name) for name in _OF_TIMM},
}


def build(name: str, logits: int) -> nn.Module:
    """A classifier with random weights; nothing is downloaded.

    The model takes normalised FP32 [N, 3, H, W] and returns FP32 [N, logits].
    `vit_base_patch16_224` and `mlp_150528` want H = W = 224; the others take any size from 32 on.

    Raises:
        UnknownArchitectureError: no such name; the message lists the known ones.
    """
    if name not in ARCHITECTURES:
        raise UnknownArchitectureError(
            f"no architecture {name!r}; the known ones are: {', '.join(sorted(ARCHITECTURES))}. "
            "Correct `architecture` in the YAML, or add a builder to export/architectures.py"
        )
    return ARCHITECTURES[name](logits)
