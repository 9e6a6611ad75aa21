"""The training loop of Mask R-CNN on drawings."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from demo.lesions import Drawing
from export.detectors.rcnn_parts import MaskRCNN

_WEIGHT_DECAY = 1e-2
# Keeps the first steps of random heads from throwing the body off.
_LARGEST_GRADIENT = 5.0
_MOST = 255

Example = tuple[torch.Tensor, dict[str, torch.Tensor]]


@dataclass(frozen=True)
class Schedule:
    """How long to train, and how fast."""

    epochs: int
    batch: int
    rate: float
    """The highest learning rate."""

    def steps(self, drawings: int) -> int:
        """How often `fit` calls `on_step`."""
        return self.epochs * (drawings // self.batch)


def fit(
    model: MaskRCNN,
    drawings: Sequence[Drawing],
    schedule: Schedule,
    *,
    generator: torch.Generator,
    on_step: Callable[[], None],
) -> None:
    """Trains in place; the model is left in eval mode.

    Args:
        model: takes FP32 [3, H, W] in [0, 1]; its labels are the drawings' classes from 1 on.
        drawings: to train on, of any sizes.
        schedule: epochs, batch and rate.
        generator: of order and flips; what regions are trained on comes from torch's own.
        on_step: called behind each batch.
    """
    optimizer = torch.optim.AdamW(model.parameters(), lr=schedule.rate, weight_decay=_WEIGHT_DECAY)
    rates = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, schedule.rate, total_steps=schedule.steps(len(drawings))
    )
    model.train()
    for _ in range(schedule.epochs):
        order = torch.randperm(len(drawings), generator=generator).tolist()
        for start in range(0, len(order) - schedule.batch + 1, schedule.batch):
            chosen = order[start : start + schedule.batch]
            images, targets = zip(
                *(_flipped(_example(drawings[index]), generator) for index in chosen), strict=True
            )
            loss = torch.stack(list(model(list(images), list(targets)).values())).sum()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(model.parameters(), _LARGEST_GRADIENT)
            optimizer.step()
            rates.step()
            on_step()
    model.eval()


def _example(drawing: Drawing) -> Example:
    """An image FP32 [3, H, W] and what torchvision wants to know of it."""
    pixels = torch.from_numpy(np.array(drawing.image)).permute(2, 0, 1)
    return pixels / _MOST, {
        "boxes": torch.from_numpy(drawing.boxes),
        "labels": torch.from_numpy(drawing.classes) + 1,
        "masks": torch.from_numpy(drawing.masks.astype(np.uint8)),
    }


def _flipped(example: Example, generator: torch.Generator) -> Example:
    """Mirrored or not, along either axis."""
    image, target = example
    boxes, masks = target["boxes"], target["masks"]
    # Axes from the end, and where a box has its coordinates of each.
    for axis, (low, high) in ((-1, (0, 2)), (-2, (1, 3))):
        if not torch.randint(0, 2, (), generator=generator):
            continue
        image, masks = image.flip(axis), masks.flip(axis)
        boxes = boxes.clone()
        boxes[:, [low, high]] = image.shape[axis] - boxes[:, [high, low]]
    return image, target | {"boxes": boxes, "masks": masks}
