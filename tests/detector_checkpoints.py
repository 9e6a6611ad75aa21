"""Checkpoints of detectors made for the tests: random bodies that find something everywhere."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from export.torchvision_ops import ensure_declared
from pipelines.enums import Task
from pipelines.spec import PipelineSpec
from tests import detector_recipe, photos

# Of the random heads' last layers: several classes, scores below and above any threshold.
_SCORES, _BOXES = 0.6, 0.1
_MASK_RCNN_SCORES = 2.0


def make(spec: PipelineSpec, folder: Path) -> dict[str, Path]:
    """A checkpoint for each member, in the layout that its library writes."""
    write = _mask_rcnn if spec.task is Task.SEGMENTATION else _yolos
    return {name: write(spec, folder / name) for name in spec.members}


def mask_rcnn_config(spec: PipelineSpec) -> dict[str, Any]:
    """What `mask_rcnn_config.yaml` says of the test's Mask R-CNN: torchvision's own, but small."""
    (member,) = spec.members.values()
    assert member.features is not None
    return {
        "classes": list(spec.classes),
        "backbone": "resnet18_fpn",
        "norm": "batch",
        "norm_eps": 1e-5,
        "fpn_channels": member.features // 4,
        "min_size": 200,
        "max_size": 320,
        "anchor_sizes": [[16], [32], [64], [128], [256]],
        "score_threshold": 0.05,
        "nms_threshold": 0.5,
        "detections_per_image": 30,
        "rpn_pre_nms_top_n": 60,
        "rpn_post_nms_top_n": 60,
    }


def _mask_rcnn(spec: PipelineSpec, folder: Path) -> Path:
    torch.manual_seed(0)
    model = detector_recipe.build_mask_rcnn(mask_rcnn_config(spec), spec).eval()
    predictor = model.roi_heads.box_predictor
    seen: list[torch.Tensor] = []
    hook = predictor.cls_score.register_forward_hook(lambda _m, inputs, _o: seen.append(inputs[0]))
    with torch.no_grad():
        for seed in range(2):
            model([torch.from_numpy(np.array(photos.photo(seed))).permute(2, 0, 1) / 255])
        hook.remove()
        features = torch.cat(seen)
        # What all regions share says nothing: with it taken off, regions differ in their class.
        weight = torch.randn_like(predictor.cls_score.weight) / features.std(0).norm()
        predictor.cls_score.weight.copy_(weight * _MASK_RCNN_SCORES)
        predictor.cls_score.bias.copy_(-predictor.cls_score.weight @ features.mean(0))
    folder.mkdir()
    path = folder / "model.pth"
    torch.save({"model": model.state_dict()}, path)
    text = yaml.safe_dump(mask_rcnn_config(spec), sort_keys=False)
    (folder / "mask_rcnn_config.yaml").write_text(text, "utf-8")
    return path


def _yolos(spec: PipelineSpec, folder: Path) -> Path:
    ensure_declared()
    from transformers import YolosConfig, YolosForObjectDetection  # noqa: PLC0415 - see above

    torch.manual_seed(0)
    member = spec.members[folder.name]
    config = YolosConfig(
        hidden_size=member.features,
        num_hidden_layers=3,
        num_attention_heads=3,
        intermediate_size=192,
        image_size=list(spec.preprocessing.size),
        patch_size=32,
        num_detection_tokens=member.queries,
        use_mid_position_embeddings=False,
        initializer_range=0.2,
        id2label=dict(enumerate(spec.classes)),
        label2id={label: index for index, label in enumerate(spec.classes)},
    )
    model = YolosForObjectDetection(config)
    embeddings = model.vit.embeddings
    with torch.no_grad():
        for tensor in (embeddings.detection_tokens, embeddings.position_embeddings):
            tensor.normal_(0, 1)
        model.class_labels_classifier.layers[-1].weight.mul_(_SCORES)
        model.bbox_predictor.layers[-1].weight.mul_(_BOXES)
    model.save_pretrained(folder)
    return folder
