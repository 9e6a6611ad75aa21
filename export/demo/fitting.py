"""Fits a model to drawings."""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from export.demo.recipes import Recipe
from export.graph import ServedMember

# Training sees crops of this share of each side, at the scale that is served: a quarter of the
# arithmetic, and the features still match whole images.
_CROP = 0.5
# How far a crop's centre may lie from the image's, as a share of a side.
_SHIFT = 0.07
# Keeps logits moderate, so that probabilities stay calibrated.
_LABEL_SMOOTHING = 0.05
_WEIGHT_DECAY = 1e-2
_RECALIBRATION_IMAGES = 200
_RECALIBRATION_BATCH = 50


def steps(images: int, recipe: Recipe) -> int:
    """How often `fit` calls `on_step`."""
    return recipe.epochs * (images // recipe.batch)


def fit(
    member: ServedMember,
    pixels: torch.Tensor,
    labels: torch.Tensor,
    recipe: Recipe,
    *,
    generator: torch.Generator,
    on_step: Callable[[], None],
) -> None:
    """Trains in place; the model is left in eval mode.

    Args:
        member: the model, under the normalisation that is served.
        pixels: UINT8 [N, H, W, 3].
        labels: INT64 [N].
        recipe: batch, epochs and rate.
        generator: of order, crops and flips; dropout draws from torch's own.
        on_step: called behind each batch.
    """
    optimizer = torch.optim.AdamW(member.parameters(), lr=recipe.rate, weight_decay=_WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.rate, total_steps=steps(len(pixels), recipe)
    )
    member.train()
    for _ in range(recipe.epochs):
        order = torch.randperm(len(pixels), generator=generator)
        for start in range(0, len(order) - recipe.batch + 1, recipe.batch):
            chosen = order[start : start + recipe.batch]
            logits = member(_augmented(pixels[chosen], generator))
            loss = functional.cross_entropy(
                logits, labels[chosen], label_smoothing=_LABEL_SMOOTHING
            )
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            on_step()
    _recalibrate(member, pixels[:_RECALIBRATION_IMAGES])
    member.eval()


def _augmented(pixels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """A crop near the centre, flipped and turned: alike for a whole batch, UINT8 [N, h, w, 3]."""
    for axis in (1, 2):
        side = pixels.shape[axis]
        crop, shift = round(side * _CROP), round(side * _SHIFT)
        moved = int(torch.randint(-shift, shift + 1, (), generator=generator))
        pixels = pixels.narrow(axis, (side - crop) // 2 + moved, crop)
    flip_rows, flip_columns, turn = torch.randint(0, 2, (3,), generator=generator).tolist()
    axes = [axis for axis, flip in ((1, flip_rows), (2, flip_columns)) if flip]
    pixels = pixels.flip(axes)
    return pixels.transpose(1, 2) if turn else pixels


def _recalibrate(member: nn.Module, pixels: torch.Tensor) -> None:
    """Takes the batch normalisations' statistics anew from whole images.

    Training saw crops, in which a lesion takes a larger share. Averaging over batches with fixed
    weights is "precise BN" of Wu and Johnson, "Rethinking 'Batch' in BatchNorm" (2021).
    """
    for layer in member.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.reset_running_stats()
            layer.momentum = None
    with torch.no_grad():
        for start in range(0, len(pixels), _RECALIBRATION_BATCH):
            member(pixels[start : start + _RECALIBRATION_BATCH])
