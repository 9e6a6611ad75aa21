"""torchvision's operators `nms` and `roi_align` for the CPU, written in torch and NumPy."""

import numpy as np
import torch
from torch.nn import functional


def nms(boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float) -> torch.Tensor:
    """Non-maximum suppression, greedy by score.

    A box goes if its intersection with one that stays, divided by their union, is more than the
    threshold.

    Args:
        boxes: [N, 4], x1, y1, x2, y2.
        scores: [N].
        iou_threshold: in [0, 1].

    Returns:
        INT64 [M], indices of the boxes that stay, the highest score first; of equal scores the
        earlier box first.
    """
    corners = boxes.detach().numpy()
    areas = (corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1])
    left = scores.detach().sort(descending=True, stable=True).indices.numpy()
    kept = []
    while len(left):
        best, left = left[0], left[1:]
        kept.append(int(best))
        low = np.maximum(corners[left, :2], corners[best, :2])
        high = np.minimum(corners[left, 2:], corners[best, 2:])
        intersection = np.prod(np.maximum(high - low, 0), axis=1)
        with np.errstate(invalid="ignore"):
            # Two empty boxes give NaN, which is not more than any threshold.
            overlap = intersection / (areas[left] + areas[best] - intersection)
        left = left[~(overlap > iou_threshold)]
    return torch.tensor(kept, dtype=torch.int64)


def roi_align(  # noqa: PLR0917 - the operator's
    features: torch.Tensor,
    rois: torch.Tensor,
    spatial_scale: float,
    pooled_height: int,
    pooled_width: int,
    sampling_ratio: int,
    aligned: bool,
) -> torch.Tensor:
    """Means of bilinear samples in a grid of bins over each region; differentiable.

    A sample within a pixel outside the features takes the border's value, one further out is 0.

    Args:
        features: [N, C, H, W].
        rois: [K, 5]: index of the image, then x1, y1, x2, y2.
        spatial_scale: from the regions' coordinates to the features'.
        pooled_height: bins down.
        pooled_width: bins across.
        sampling_ratio: samples a bin and axis; 0 or less: as many as whole pixels cover the bin.
        aligned: whether a pixel's centre lies at half coordinates.

    Returns:
        [K, C, pooled_height, pooled_width].
    """
    bins = torch.tensor([pooled_width, pooled_height])
    starts, sizes = _on_features(rois[:, 1:], spatial_scale, aligned=aligned)
    steps = sizes / bins
    samples = torch.full_like(steps, sampling_ratio) if sampling_ratio > 0 else steps.ceil()
    alike = torch.cat([rois[:, :1], samples], dim=1).long()
    pooled = features.new_zeros((len(rois), features.shape[1], pooled_height, pooled_width))
    # Regions of one image with the same number of samples are pooled at once.
    for image, across, down in torch.unique(alike, dim=0).tolist():
        if across < 1 or down < 1:
            continue  # an empty region stays 0
        chosen = (alike == torch.tensor([image, across, down])).all(dim=1).nonzero()[:, 0]
        x = _positions(starts[chosen, 0], steps[chosen, 0], pooled_width, across)
        y = _positions(starts[chosen, 1], steps[chosen, 1], pooled_height, down)
        values = _sampled(features[image], x, y)
        means = functional.avg_pool2d(values, (down, across))
        pooled = pooled.index_copy(0, chosen, means)
    return pooled


def _on_features(
    boxes: torch.Tensor, scale: float, *, aligned: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Left upper corners and sizes of regions in the features' pixels, each [K, 2]: x, y."""
    corners = boxes * scale - (0.5 if aligned else 0)
    starts, ends = corners[:, :2], corners[:, 2:]
    return starts, ends - starts if aligned else (ends - starts).clamp(min=1)


def _positions(start: torch.Tensor, step: torch.Tensor, bins: int, samples: int) -> torch.Tensor:
    """Where samples lie along one axis, in pixels, [K, bins * samples]."""
    shares = (torch.arange(bins * samples, dtype=start.dtype) + 0.5) / samples
    return start[:, None] + shares * step[:, None]


def _sampled(features: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Bilinear samples of one image's features [C, H, W] at [K, X] x [K, Y]: [K, C, Y, X]."""
    height, width = features.shape[1:]
    inside = _within(y, height)[:, :, None] * _within(x, width)[:, None, :]
    grid = torch.stack(
        [
            _normalised(x, width)[:, None, :].expand(inside.shape),
            _normalised(y, height)[:, :, None].expand(inside.shape),
        ],
        dim=-1,
    )
    # One tall grid: a grid for each region would copy the features for each.
    values = functional.grid_sample(
        features[None], grid.flatten(0, 1)[None], padding_mode="border", align_corners=True
    )
    by_region = values.reshape(len(features), *inside.shape).transpose(0, 1)
    return by_region * inside[:, None]


def _within(position: torch.Tensor, size: int) -> torch.Tensor:
    return ((position >= -1) & (position <= size)).to(position.dtype)


def _normalised(position: torch.Tensor, size: int) -> torch.Tensor:
    """Pixels to [-1, 1] from the first pixel's centre to the last one's."""
    return position * (2 / (size - 1)) - 1 if size > 1 else torch.zeros_like(position)
