"""The training loop of YOLOS: each object is assigned to the detection token of its cell.

YOLOS is usually trained by matching its answers to the objects, which takes very long from
nothing. A fixed assignment needs one detection token for each cell; the network is the same.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from demo.yolos_scenes import NONE, Scenes
from demo.yolos_start import PATCH
from export.graph import Normalisation
from export.torchvision_ops import ensure_declared

ensure_declared()

from torchvision.ops import box_convert, generalized_box_iou_loss  # noqa: E402
from transformers import YolosForObjectDetection  # noqa: E402

# Cells without an object are many: what one of them counts, beside 1 for an object.
_NOTHING = 0.3
# Of the losses: classes of objects alone, the patches' answers, and boxes (both as DETR's).
_KIND, _PATCHES, _L1, _IOU = 1.0, 0.5, 5.0, 2.0
_WEIGHT_DECAY = 1e-2
_WARM_UP = 0.1
_BETAS = (0.9, 0.98)
_LARGEST_GRADIENT = 1.0


@dataclass(frozen=True)
class Schedule:
    """How long to train, and how fast."""

    epochs: int
    batch: int
    rate: float
    """The highest rate of AdamW, for biases, norms, embeddings and last layers."""
    matrix_rate: float
    """The highest rate of Muon, for all other matrices."""

    def steps(self, drawings: int) -> int:
        """How often `fit` calls `on_step`."""
        return self.epochs * (drawings // self.batch)


def fit(
    model: YolosForObjectDetection,
    normalise: Normalisation,
    scenes: Scenes,
    schedule: Schedule,
    *,
    generator: torch.Generator,
    on_step: Callable[[], None],
) -> None:
    """Trains in place; the model is left in eval mode.

    Args:
        model: with a detection token for each patch.
        normalise: what is served before it.
        scenes: to train on.
        schedule: epochs, batch and rates.
        generator: of order, flips and colours.
        on_step: called behind each batch.
    """
    optimizers = _optimizers(model, schedule)
    total = schedule.steps(len(scenes.pixels))
    rates = [
        torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            optimizer.param_groups[0]["lr"],
            total_steps=total,
            pct_start=_WARM_UP,
            cycle_momentum=False,
        )
        for optimizer in optimizers
    ]
    for _ in range(schedule.epochs):
        order = torch.randperm(len(scenes.pixels), generator=generator)
        for start in range(0, len(order) - schedule.batch + 1, schedule.batch):
            batch = _augmented(scenes.at(order[start : start + schedule.batch]), generator)
            loss = _loss(model, normalise(batch.pixels), batch)
            model.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(model.parameters(), _LARGEST_GRADIENT)
            for optimizer, rate in zip(optimizers, rates, strict=True):
                optimizer.step()
                rate.step()
            on_step()
    with torch.no_grad():
        # The loss counted empty cells less: scores become probabilities again.
        model.class_labels_classifier.layers[-1].bias[-1] -= math.log(_NOTHING)
    model.eval()


def _optimizers(model: YolosForObjectDetection, schedule: Schedule) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside, AdamW for the rest (Jordan et al., "Muon", 2024)."""
    heads = (model.class_labels_classifier, model.bbox_predictor)
    last = {head.layers[-1] for head in heads}
    linear = {layer for layer in model.modules() if isinstance(layer, nn.Linear)}
    inner = [layer.weight for layer in model.modules() if layer in linear - last]
    ids = {id(weight) for weight in inner}
    others = [parameter for parameter in model.parameters() if id(parameter) not in ids]
    return [
        torch.optim.AdamW(others, lr=schedule.rate, betas=_BETAS, weight_decay=0),
        torch.optim.Muon(
            inner,
            lr=schedule.matrix_rate,
            weight_decay=_WEIGHT_DECAY,
            adjust_lr_fn="match_rms_adamw",
        ),
    ]


def _augmented(scenes: Scenes, generator: torch.Generator) -> Scenes:
    """Each scene mirrored or not, with its colour channels in a random order."""
    count = len(scenes.pixels)
    mirrored = torch.randint(0, 2, (count,), generator=generator).bool()
    orders = torch.rand(count, 3, generator=generator).argsort(dim=1)
    pixels = torch.where(mirrored[:, None, None, None], scenes.pixels.flip(2), scenes.pixels)
    pixels = torch.stack([image[..., order] for image, order in zip(pixels, orders, strict=True)])
    x1, y1, x2, y2 = scenes.boxes.unbind(-1)
    flipped = torch.stack([1 - x2, y1, 1 - x1, y2], dim=-1)
    return Scenes(
        pixels, torch.where(mirrored[:, None, None], flipped, scenes.boxes), scenes.classes
    )


def _loss(model: YolosForObjectDetection, images: torch.Tensor, scenes: Scenes) -> torch.Tensor:
    rows, columns = images.shape[2] // PATCH, images.shape[3] // PATCH
    nothing = model.config.num_labels
    kinds, boxes = _targets(scenes, rows, columns, nothing)
    tokens = model.vit(images).last_hidden_state
    of_patches, of_detections = tokens[:, 1:].chunk(2, dim=1)
    loss = _class_loss(model.class_labels_classifier(of_detections), kinds)
    # Patches are asked too, though never when served: what they know the detections can read.
    loss = loss + _PATCHES * _class_loss(model.class_labels_classifier(of_patches), kinds)
    objects = kinds != nothing
    found, wanted = model.bbox_predictor(of_detections)[objects].sigmoid(), boxes[objects]
    distance: torch.Tensor = (found - wanted).abs().sum(dim=-1).mean()
    corners = (box_convert(each, "cxcywh", "xyxy") for each in (found, wanted))
    iou: torch.Tensor = generalized_box_iou_loss(*corners, reduction="mean")
    return loss + _L1 * distance + _IOU * iou


def _class_loss(logits: torch.Tensor, kinds: torch.Tensor) -> torch.Tensor:
    nothing = logits.shape[-1] - 1
    weight = torch.ones(nothing + 1)
    weight[nothing] = _NOTHING
    objects = kinds != nothing
    all_of_them = functional.cross_entropy(logits.flatten(0, 1), kinds.flatten(), weight=weight)
    kind = functional.cross_entropy(logits[objects][:, :nothing], kinds[objects])
    return all_of_them + _KIND * kind


def _targets(
    scenes: Scenes, rows: int, columns: int, nothing: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Classes INT64 [N, cells] and boxes FP32 [N, cells, 4] (centre and size) of the cells.

    Of several objects in a cell it is the first, which is the largest.
    """
    kinds = torch.full((len(scenes.boxes), rows * columns), nothing)
    boxes = torch.zeros(*kinds.shape, 4)
    centred = box_convert(scenes.boxes, "xyxy", "cxcywh")
    column, row = (centred[..., :2] * torch.tensor([columns, rows])).long().unbind(-1)
    cells = row * columns + column
    for place in reversed(range(cells.shape[1])):
        there = (scenes.classes[:, place] != NONE).nonzero()[:, 0]
        cell = cells[there, place]
        kinds[there, cell] = scenes.classes[there, place]
        boxes[there, cell] = centred[there, place]
    return kinds, boxes
