"""The kernels that stand in for torchvision's native ones."""

import importlib
import subprocess
import sys

import pytest
import torch

from export import torchvision_kernels, torchvision_ops

torchvision_ops.ensure_runnable()

import torchvision  # noqa: E402 - it needs the line above

# torchvision's own in plain torch, without its compilation.
reference = importlib.import_module("torchvision.ops.roi_align")._roi_align.__wrapped__


def regions(count, width, height):
    generator = torch.Generator().manual_seed(1)
    size = torch.tensor([width, height])
    start = torch.rand((count, 2), generator=generator) * size
    end = torch.minimum(start + torch.rand((count, 2), generator=generator) * 60, size)
    image = torch.randint(0, 2, (count, 1), generator=generator).float()
    return torch.cat([image, start, end], dim=1)


@pytest.mark.parametrize("sampling_ratio", [2, -1])
@pytest.mark.parametrize("aligned", [False, True])
def test_regions_are_pooled_as_torchvision_pools_them(sampling_ratio, aligned):
    features = torch.rand(2, 5, 20, 30, generator=torch.Generator().manual_seed(0))
    features.requires_grad_()
    rois = regions(40, 200, 120)
    ours = torchvision_kernels.roi_align(features, rois, 1 / 8, 7, 5, sampling_ratio, aligned)
    theirs = reference(features, rois, 1 / 8, 7, 5, sampling_ratio, aligned)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)
    (our_gradient,) = torch.autograd.grad(ours.square().sum(), features)
    (their_gradient,) = torch.autograd.grad(theirs.square().sum(), features)
    torch.testing.assert_close(our_gradient, their_gradient, atol=1e-4, rtol=0)


def test_a_sample_more_than_a_pixel_outside_is_nothing():
    features = torch.ones(1, 1, 4, 4)
    # Samples lie at x 3.5 and 4.5, of four pixels.
    rois = torch.tensor([[0.0, 3.0, 0.0, 5.0, 2.0]])
    pooled = torchvision_kernels.roi_align(features, rois, 1.0, 1, 2, 1, False)
    assert pooled.flatten().tolist() == [1, 0]


def test_no_regions_give_no_rows():
    pooled = torchvision.ops.roi_align(torch.ones(1, 3, 4, 4), torch.zeros(0, 5), (7, 7), 1.0, 2)
    assert pooled.shape == (0, 3, 7, 7)


def test_a_box_goes_only_if_it_overlaps_a_better_one_by_more_than_the_threshold():
    boxes = torch.tensor(
        [[0, 0, 10, 10], [0, 0, 10, 5], [0, 0, 10, 6], [20, 20, 30, 30]], dtype=torch.float32
    )
    scores = torch.tensor([0.5, 0.9, 0.4, 0.95])
    # The second and the first share exactly a half; the third is mostly the second.
    assert torchvision.ops.nms(boxes, scores, 0.5).tolist() == [3, 1, 0]
    assert torchvision.ops.nms(boxes, scores, 0.49).tolist() == [3, 1]


def test_of_equal_scores_the_earlier_box_stays():
    boxes = torch.tensor([[0.0, 0, 10, 10]] * 3)
    assert torchvision.ops.nms(boxes, torch.tensor([0.5, 0.5, 0.5]), 0.5).tolist() == [0]


def test_empty_boxes_suppress_nothing_and_warn_of_nothing():
    boxes = torch.zeros(2, 4)
    assert torchvision_kernels.nms(boxes, torch.tensor([0.5, 0.6]), 0.5).tolist() == [1, 0]
    assert torchvision_kernels.nms(boxes[:0], torch.zeros(0), 0.5).tolist() == []


@pytest.mark.parametrize("threshold", [0.3, 0.7])
def test_suppression_is_greedy_by_score(threshold):
    generator = torch.Generator().manual_seed(2)
    boxes = torch.rand((200, 4), generator=generator) * 50
    boxes[:, 2:] += boxes[:, :2]
    scores = torch.rand(200, generator=generator)
    overlaps = torchvision.ops.box_iou(boxes, boxes)
    kept: list[int] = []
    for index in scores.argsort(descending=True).tolist():
        if all(overlaps[index, other] <= threshold for other in kept):
            kept.append(index)
    assert torchvision_kernels.nms(boxes, scores, threshold).tolist() == kept


def test_timm_may_be_imported_before_a_detector_is_built():
    code = (
        "from export.torchvision_ops import ensure_declared, ensure_runnable\n"
        "ensure_declared()\n"
        "import timm, torch\n"
        "ensure_runnable()\n"
        "import torchvision\n"
        "assert torchvision.ops.nms(torch.ones(1, 4), torch.ones(1), 0.5).tolist() == [0]\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
