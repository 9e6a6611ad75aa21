"""A Mask R-CNN small enough to export in seconds, that finds something everywhere."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from export.detectors.mask_rcnn_config import MaskRcnnConfig
from export.detectors.mask_rcnn_model import build
from pipelines.load import load_spec

SPEC = load_spec("cervical_lesions")
NAME = "mask_rcnn.pth"
# Standard deviation of the logits of classes.
_SPREAD = 1.5


def config(**changes) -> MaskRcnnConfig:
    facts = {
        "classes": SPEC.classes,
        "backbone": "resnet10_fpn",
        "norm": "batch",
        "norm_eps": 1e-5,
        "min_size": 200,
        "max_size": 333,
        "detections_per_image": 20,
        "rpn_pre_nms_top_n": 100,
        "rpn_post_nms_top_n": 60,
        "fpn_channels": 16,
        "box_head_channels": 32,
        "mask_head_channels": [16],
    }
    return MaskRcnnConfig.model_validate(facts | changes)


def photo(seed: int, height: int, width: int) -> np.ndarray:
    """Smooth colours, UINT8 [height, width, 3]."""
    cells = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    smooth = Image.fromarray(cells).resize((width, height), Image.Resampling.BICUBIC)
    return np.array(smooth)


def write(folder: Path, facts: MaskRcnnConfig) -> Path:
    """A checkpoint of random weights and its configuration; returns the checkpoint."""
    torch.manual_seed(0)
    model = build(facts, SPEC.preprocessing)
    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = None
    image = torch.from_numpy(photo(0, 240, 320)).permute(2, 0, 1) / 255
    heads = model.roi_heads.box_predictor
    seen: list[torch.Tensor] = []
    with torch.no_grad():
        # Statistics of a photo keep what random layers give from growing.
        model.backbone(model.transform([image])[0].tensors)
        hook = heads.register_forward_hook(lambda _module, given, _out: seen.append(given[0]))
        model.eval()([image])
        hook.remove()
        # What all regions share says nothing: without it they differ in class and score.
        (features,) = seen
        weight = torch.randn_like(heads.cls_score.weight) / features.std(0).norm() * _SPREAD
        heads.cls_score.weight.copy_(weight)
        heads.cls_score.bias.copy_(-weight @ features.mean(0))
    folder.mkdir(exist_ok=True)
    torch.save({"model": model.state_dict()}, folder / NAME)
    facts.write(folder)
    return folder / NAME
