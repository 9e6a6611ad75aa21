"""How each architecture is trained from nothing in a minute or so."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from export import architectures, vgg
from export.demo.widening import widen

# Of VGG16's widths in training: about a sixteenth of the arithmetic.
_VGG_DIVISOR = 4

Finish = Callable[[nn.Module, nn.Module, torch.Tensor, torch.Generator], object]
"""Fills a plain model (second) with a trained one's function (first), as `widening.widen` does."""


@dataclass(frozen=True)
class Recipe:
    """A model to train, how, and how the plain architecture gets its weights."""

    start: Callable[[int], nn.Module]
    """Makes the model to train, for a number of classes."""
    finish: Finish
    rate: float
    """The highest learning rate."""
    batch: int
    epochs: int


def recipe_for(architecture: str) -> Recipe:
    """The recipe of an architecture; most are trained as they are."""
    if architecture == "vgg16_small_head":
        return Recipe(start=_narrow_vgg, finish=widen, rate=2e-3, batch=16, epochs=5)
    return Recipe(
        start=lambda classes: architectures.build(architecture, classes),
        finish=_copy,
        rate=4e-3,
        batch=32,
        epochs=6,
    )


def _narrow_vgg(classes: int) -> nn.Module:
    return vgg.vgg16_small_head(classes, divisor=_VGG_DIVISOR, batch_norm=True)


def _copy(
    trained: nn.Module, plain: nn.Module, _images: torch.Tensor, _generator: torch.Generator
) -> None:
    plain.load_state_dict(trained.state_dict())
