"""The plain recipe of the detectors: the libraries' own models and post-processing, no Triton."""

# Libraries are imported where torchvision has been made importable.
# ruff: noqa: PLC0415

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from PIL import Image, ImageOps
from torch import nn

from export.torchvision_ops import ensure_declared, ensure_runnable
from pipelines.enums import Task
from pipelines.spec import PipelineSpec


@dataclass(frozen=True)
class Found:
    """What the recipe finds in one photo, the largest score first."""

    boxes: np.ndarray
    """[n, 4], x1, y1, x2, y2, pixels of the upright photo."""
    scores: np.ndarray
    classes: np.ndarray
    """[n], indices into the pipeline's classes."""
    masks: np.ndarray | None
    """bool [n, H, W] of the upright photo."""


def load(spec: PipelineSpec, checkpoint: Path) -> nn.Module:
    """The library's own model with the checkpoint's weights."""
    if spec.task is Task.SEGMENTATION:
        config = yaml.safe_load((checkpoint.parent / "mask_rcnn_config.yaml").read_text("utf-8"))
        model = build_mask_rcnn(config, spec)
        model.load_state_dict(torch.load(checkpoint, weights_only=True)["model"])
        return model.eval()
    ensure_declared()
    from transformers import YolosForObjectDetection

    return YolosForObjectDetection.from_pretrained(checkpoint, local_files_only=True).eval()


def find(file: bytes, spec: PipelineSpec, model: nn.Module) -> Found:
    """What a model says of a photo, from the pipeline's default threshold on."""
    with Image.open(io.BytesIO(file)) as image:
        upright = ImageOps.exif_transpose(image).convert("RGB")
    recipe = _mask_rcnn if spec.task is Task.SEGMENTATION else _yolos
    with torch.inference_mode():
        return recipe(upright, spec, model)


def build_mask_rcnn(config: dict[str, Any], spec: PipelineSpec) -> nn.Module:
    """torchvision's own model, as a training script builds it."""
    ensure_runnable()
    from torchvision.models import get_model
    from torchvision.models.detection import MaskRCNN
    from torchvision.models.detection.anchor_utils import AnchorGenerator
    from torchvision.models.detection.backbone_utils import BackboneWithFPN

    name = config["backbone"].removesuffix("_fpn")
    body = get_model(name, weights=None, norm_layer=nn.BatchNorm2d)
    backbone = BackboneWithFPN(
        body,
        {f"layer{number}": str(number - 1) for number in range(1, 5)},
        [body.inplanes // 2**halved for halved in (3, 2, 1, 0)],
        config["fpn_channels"],
    )
    sizes = tuple(map(tuple, config["anchor_sizes"]))
    return MaskRCNN(
        backbone,
        len(config["classes"]) + 1,
        min_size=config["min_size"],
        max_size=config["max_size"],
        image_mean=list(spec.preprocessing.mean),
        image_std=list(spec.preprocessing.std),
        rpn_anchor_generator=AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * len(sizes)),
        rpn_pre_nms_top_n_test=config["rpn_pre_nms_top_n"],
        rpn_post_nms_top_n_test=config["rpn_post_nms_top_n"],
        box_score_thresh=config["score_threshold"],
        box_nms_thresh=config["nms_threshold"],
        box_detections_per_img=config["detections_per_image"],
    )


def _mask_rcnn(photo: Image.Image, spec: PipelineSpec, model: nn.Module) -> Found:
    image = torch.from_numpy(np.asarray(photo).copy()).permute(2, 0, 1).float() / 255
    (found,) = model([image])
    kept = found["scores"] >= spec.threshold.default
    return _sorted(
        found["boxes"][kept].numpy(),
        found["scores"][kept].numpy(),
        found["labels"][kept].numpy() - 1,
        (found["masks"][kept][:, 0] > 0.5).numpy(),
    )


def _yolos(photo: Image.Image, spec: PipelineSpec, model: nn.Module) -> Found:
    shape = spec.preprocessing
    scale = min(shape.width / photo.width, shape.height / photo.height)
    width, height = (max(1, round(side * scale)) for side in photo.size)
    left, top = (shape.width - width) // 2, (shape.height - height) // 2
    framed = Image.new("RGB", (shape.width, shape.height), (shape.fill,) * 3)
    framed.paste(photo.resize((width, height), Image.Resampling.BILINEAR), (left, top))
    pixels = torch.from_numpy(np.asarray(framed).copy()).permute(2, 0, 1).float() / 255
    mean, std = torch.tensor(shape.mean), torch.tensor(shape.std)
    outputs = model(((pixels - mean[:, None, None]) / std[:, None, None])[None])
    scores, classes = outputs.logits[0].softmax(-1)[:, :-1].max(-1)
    centre_x, centre_y, wide, high = outputs.pred_boxes[0].unbind(-1)
    corners = torch.stack(
        [centre_x - wide / 2, centre_y - high / 2, centre_x + wide / 2, centre_y + high / 2], 1
    ).numpy() * [shape.width, shape.height, shape.width, shape.height]
    ratio = [width / photo.width, height / photo.height]
    boxes = (corners - [left, top, left, top]) / [*ratio, *ratio]
    boxes = boxes.clip(0, [photo.width, photo.height, photo.width, photo.height])
    kept = (scores.numpy() >= spec.threshold.default) & (boxes[:, 2:] > boxes[:, :2]).all(1)
    return _sorted(boxes[kept], scores.numpy()[kept], classes.numpy()[kept], None)


def _sorted(
    boxes: np.ndarray, scores: np.ndarray, classes: np.ndarray, masks: np.ndarray | None
) -> Found:
    order = np.argsort(-scores, kind="stable")
    return Found(
        boxes[order], scores[order], classes[order], None if masks is None else masks[order]
    )
