"""`mask_rcnn_config.yaml`: the facts about a Mask R-CNN that its state dict does not hold."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

import yaml
from pydantic import Field, model_validator

from export.errors import CheckpointError
from pipelines.fact import Facts, Label, Positive, Probability
from pipelines.load import SpecError, read_facts
from pipelines.spec import PipelineSpec

FILENAME = "mask_rcnn_config.yaml"
LEVELS = 5
"""Maps of the feature pyramid that propose regions: four stages, and the last one pooled."""

Count = Annotated[int, Field(ge=1, le=10_000)]
Channels = Annotated[int, Field(ge=8, le=4096)]


class Backbone(StrEnum):
    """A residual network under a feature pyramid."""

    RESNET10_FPN = "resnet10_fpn"  # one block a stage: trains on a CPU
    RESNET18_FPN = "resnet18_fpn"
    RESNET50_FPN = "resnet50_fpn"  # torchvision's maskrcnn_resnet50_fpn
    RESNET101_FPN = "resnet101_fpn"


class Norm(StrEnum):
    """Batch normalisation of the backbone. Served alike; a state dict's keys differ."""

    FROZEN_BATCH = "frozen_batch"  # torchvision's where training began from its weights
    BATCH = "batch"  # where it began from nothing


class MaskRcnnConfig(Facts):
    """How a checkpoint was trained; what is left out is as torchvision has it."""

    classes: Annotated[tuple[Label, ...], Field(min_length=1)]
    """In the order of the labels from 1 on: 0 is the background and is not named."""
    backbone: Backbone
    norm: Norm
    norm_eps: Annotated[float, Field(ge=0, le=0.1, allow_inf_nan=False)]
    """0 where training began from torchvision's COCO_V1 weights, else 1e-5 as a rule."""
    min_size: Count = 800
    """Pixels that the short side is resized to, unless the long side would pass `max_size`."""
    max_size: Count = 1333
    anchor_sizes: tuple[tuple[Positive, ...], ...] = ((32,), (64,), (128,), (256,), (512,))
    """For each level of the pyramid, in pixels of the resized image."""
    aspect_ratios: tuple[Positive, ...] = (0.5, 1.0, 2.0)
    """Of anchors, height by width; on all levels."""
    score_threshold: Probability = 0.05
    nms_threshold: Probability = 0.5
    detections_per_image: Count = 100
    rpn_pre_nms_top_n: Count = 1000
    """Proposals of each level before suppression."""
    rpn_post_nms_top_n: Count = 1000
    rpn_nms_threshold: Probability = 0.7
    fpn_channels: Channels = 256
    box_head_channels: Channels = 1024
    mask_head_channels: Annotated[tuple[Channels, ...], Field(min_length=1)] = (256,) * 4
    """Of each convolution in turn."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.min_size > self.max_size:
            raise ValueError("min_size: needs min_size <= max_size")
        if len(self.anchor_sizes) != LEVELS:
            raise ValueError(f"anchor_sizes: needs {LEVELS} lists, one for each level")
        if len({len(sizes) for sizes in self.anchor_sizes}) != 1 or not self.anchor_sizes[0]:
            raise ValueError("anchor_sizes: each level needs as many as the others")
        if not self.aspect_ratios:
            raise ValueError("aspect_ratios: needs one or more")
        return self

    def require(self, spec: PipelineSpec, path: Path) -> None:
        """Compares with a pipeline; `path` is the file that this was read from.

        Raises:
            CheckpointError: a score threshold above the lowest that a request may choose.
        """
        if spec.threshold is not None and self.score_threshold > spec.threshold.minimum:
            raise CheckpointError(
                f"{path}: score_threshold: {self.score_threshold} is above the pipeline's "
                f"threshold.minimum {spec.threshold.minimum}: a request for less would silently "
                "miss detections. Lower the one or raise the other"
            )

    def write(self, folder: Path) -> None:
        """Writes the file that `read` reads."""
        text = yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)
        (folder / FILENAME).write_text(text, "utf-8")


def read(path: Path, spec: PipelineSpec) -> MaskRcnnConfig:
    """The configuration beside a checkpoint, for a pipeline.

    Raises:
        CheckpointError: no file, no valid YAML, a wrong, missing or unknown key, or one that does
            not fit the pipeline.
    """
    if not path.is_file():
        raise CheckpointError(
            f"{path}: no such file. A Mask R-CNN needs it beside its checkpoint, for instance:\n"
            f"{_example(spec)}"
            "Write norm: batch where the backbone was trained from nothing, and norm_eps: 0.0 "
            "where training began from torchvision's COCO_V1 weights. Further keys and their "
            "defaults: export/detectors/mask_rcnn_config.py"
        )
    try:
        config = read_facts(path, MaskRcnnConfig)
    except SpecError as error:
        raise CheckpointError(str(error)) from None
    config.require(spec, path)
    return config


def _example(spec: PipelineSpec) -> str:
    return (
        f"  classes: [{', '.join(spec.classes)}]\n"
        "  backbone: resnet50_fpn\n"
        "  norm: frozen_batch\n"
        "  norm_eps: 1.0e-5\n"
        "  min_size: 800\n"
        "  max_size: 1333\n"
    )
