"""A Detectron2 checkpoint is recognised and refused, with what to do instead."""

import pytest
import torch

from export.detector import open_detector
from export.errors import CheckpointError
from pipelines.load import load_spec
from tests.unit.export import mask_rcnn_checkpoint

SPEC = load_spec("cervical_lesions")
HEADS = ("roi_heads.box_predictor.cls_score.weight", "roi_heads.mask_head.mask_fcn1.weight")


@pytest.mark.parametrize(
    "key",
    [
        "backbone.bottom_up.res2.0.conv1.weight",
        "backbone.fpn_lateral2.weight",
        "backbone.fpn_output5.bias",
        "proposal_generator.rpn_head.conv.weight",
    ],
)
@pytest.mark.parametrize("nested", [True, False])
def test_a_detectron2_checkpoint_is_refused_with_the_way_out(tmp_path, key, nested):
    weights = {name: torch.zeros(2, 2) for name in (key, *HEADS)}
    path = tmp_path / "model_final.pth"
    torch.save({"model": weights, "iteration": 9999} if nested else weights, path)
    with pytest.raises(CheckpointError, match=r"Detectron2.*Train torchvision's") as failure:
        open_detector("mask_rcnn", path, SPEC)
    assert str(failure.value).startswith(f"{path}: ")


def test_a_torchvision_checkpoint_is_not_taken_for_one(tmp_path):
    path = mask_rcnn_checkpoint.write(tmp_path, mask_rcnn_checkpoint.config())
    assert open_detector("mask_rcnn", path, SPEC).weights == "trained"
