"""Trains a classifier on drawings."""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from demo.recipes import Recipe
from export.graph import ServedMember

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
        labels: INT64 [N]; 0 or 1 where the model gives one logit, which is then of 1.
        recipe: batch, epochs, rate and crop.
        generator: of order, crops and flips; dropout draws from torch's own.
        on_step: called behind each batch.
    """
    optimizer = torch.optim.AdamW(member.parameters(), lr=recipe.rate, weight_decay=_WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.rate, total_steps=steps(len(pixels), recipe)
    )
    member.train()
    for epoch in range(recipe.epochs):
        crop = recipe.crop if epoch < recipe.epochs - recipe.whole else None
        order = torch.randperm(len(pixels), generator=generator)
        for start in range(0, len(order) - recipe.batch + 1, recipe.batch):
            chosen = order[start : start + recipe.batch]
            seen = pixels[chosen]
            if crop is not None:
                seen = _cropped(seen, crop, generator)
            loss = _loss(member(_turned(seen, generator)), labels[chosen])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            on_step()
    _recalibrate(member, pixels[:_RECALIBRATION_IMAGES])
    member.eval()


def _loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross entropy of smoothed labels, of one logit or of one a class."""
    if logits.shape[1] > 1:
        return functional.cross_entropy(logits, labels, label_smoothing=_LABEL_SMOOTHING)
    smoothed = labels * (1 - _LABEL_SMOOTHING) + _LABEL_SMOOTHING / 2
    return functional.binary_cross_entropy_with_logits(logits[:, 0], smoothed)


def _cropped(pixels: torch.Tensor, share: float, generator: torch.Generator) -> torch.Tensor:
    """A crop near the centre, alike for a whole batch, UINT8 [N, h, w, 3]."""
    for axis in (1, 2):
        side = pixels.shape[axis]
        crop, shift = round(side * share), round(side * _SHIFT)
        moved = int(torch.randint(-shift, shift + 1, (), generator=generator))
        pixels = pixels.narrow(axis, (side - crop) // 2 + moved, crop)
    return pixels


def _turned(pixels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Flipped and turned, alike for a whole batch, UINT8 [N, h, w, 3]."""
    flip_rows, flip_columns, turn = torch.randint(0, 2, (3,), generator=generator).tolist()
    axes = [axis for axis, flip in ((1, flip_rows), (2, flip_columns)) if flip]
    pixels = pixels.flip(axes)
    return pixels.transpose(1, 2) if turn else pixels


def _recalibrate(member: nn.Module, pixels: torch.Tensor) -> None:
    """Takes the batch normalisations' statistics anew from whole images.

    Training saw crops, in which a lesion takes a larger share. Averaging over batches with fixed
    weights is "precise BN" of Wu and Johnson, "Rethinking 'Batch' in BatchNorm" (2021).
    """
    layers = [layer for layer in member.modules() if isinstance(layer, nn.BatchNorm2d)]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None
    if not layers:
        return
    with torch.no_grad():
        for start in range(0, len(pixels), _RECALIBRATION_BATCH):
            member(pixels[start : start + _RECALIBRATION_BATCH])
