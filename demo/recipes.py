"""The training recipe of each classifier, and how a narrow one fills the served architecture."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from demo.narrow_vit import narrow_vit, widen_vit
from demo.pooled_mlp import fill_mlp, pooled_mlp
from demo.widening import widen
from export import architectures, vgg

# Of VGG16's widths in training: about a sixteenth of the arithmetic.
_VGG_DIVISOR = 4

Finish = Callable[[nn.Module, nn.Module, torch.Tensor, torch.Generator], object]
"""Fills a plain model (second) with a trained one's function (first), as `widening.widen` does."""


@dataclass(frozen=True)
class Recipe:
    """A model to train, how, and how the plain architecture gets its weights."""

    start: Callable[[int], nn.Module]
    """Makes the model to train, for a number of logits."""
    rate: float
    """The highest learning rate."""
    batch: int
    epochs: int
    crop: float | None = None
    """Training sees crops of this share of each side, at the scale that is served: less arithmetic,
    and the features still match whole images. For models that take any size; None: whole images."""
    whole: int = 0
    """Of the epochs, the last ones that see whole images all the same, where averages over a
    larger area mean something else: Touvron et al., "Fixing the train-test resolution
    discrepancy" (2019)."""
    finish: Finish | None = None
    """Fills the architecture that is served; None: that is what was trained."""

    def settings(self) -> dict[str, float | int | None]:
        """The numbers of it, by name."""
        numbers = ("rate", "batch", "epochs", "crop", "whole")
        return {name: getattr(self, name) for name in numbers}


def recipe_for(architecture: str) -> Recipe:
    """The recipe of an architecture; most are trained as they are."""
    return _RECIPES.get(architecture) or Recipe(
        start=lambda logits: architectures.build(architecture, logits),
        rate=4e-3,
        batch=32,
        epochs=8,
        crop=0.5,
    )


def _narrow_vgg(logits: int) -> nn.Module:
    return vgg.vgg16_small_head(logits, divisor=_VGG_DIVISOR, batch_norm=True)


def _mobilenet(logits: int) -> nn.Module:
    return architectures.build("mobilenetv3_small_100", logits)


_RECIPES = {
    "vgg16_small_head": Recipe(
        start=_narrow_vgg, finish=widen, rate=2e-3, batch=16, epochs=7, crop=0.5
    ),
    "mobilenetv3_small_100": Recipe(
        start=_mobilenet, rate=4e-3, batch=16, epochs=11, crop=0.4, whole=2
    ),
    "vit_base_patch16_224": Recipe(
        start=narrow_vit, finish=widen_vit, rate=2e-3, batch=32, epochs=14
    ),
    "mlp_150528": Recipe(start=pooled_mlp, finish=fill_mlp, rate=3e-4, batch=32, epochs=30),
}
