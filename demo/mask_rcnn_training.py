"""Trains the demo weights of the segmentation pipeline: a small Mask R-CNN, from random weights."""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from demo import lesions, mask_rcnn_fitting, mask_rcnn_judging, rounding
from demo.figures import Trained
from demo.lesion_textures import TEXTURES
from demo.lesions import Drawing
from demo.mask_rcnn_fitting import Schedule
from demo.subject import UnsuitablePipelineError
from export.detectors.mask_rcnn_config import Backbone, MaskRcnnConfig, Norm
from export.detectors.mask_rcnn_graph import ServedMaskRcnn
from export.detectors.mask_rcnn_model import build
from export.progress import OnProgress, Steps
from pipelines.spec import PipelineSpec

DRAWINGS = 160
HELD_OUT = 100
SCHEDULE = Schedule(epochs=7, batch=4, rate=2e-3)
_SHORT = 256
# Width and height of drawings: to train on, at the scale that is served; to judge by, others.
_TRAINED_ON = ((341, 256), (256, 320), (384, 256), (288, 288))
_JUDGED_BY = ((640, 480), (300, 500), (960, 540), (448, 448))
# About how many drawings, and how many held-out ones drawn and looked at, take one step's time.
_DRAWINGS_A_STEP = 10
_JUDGED_A_STEP = 4
# Regions of an image that are proposed, and that each loss is taken of: few, for time.
_PROPOSALS_BEFORE, _PROPOSALS = 200, 100
_TRAINING = {
    "rpn_pre_nms_top_n_train": _PROPOSALS_BEFORE,
    "rpn_post_nms_top_n_train": _PROPOSALS,
    "rpn_batch_size_per_image": 64,
    "box_batch_size_per_image": 48,
    "box_positive_fraction": 0.35,
}


def train(
    spec: PipelineSpec,
    folder: Path,
    seed: int = 0,
    on_progress: OnProgress = lambda _doing, _done, _total: None,
    *,
    drawings: int = DRAWINGS,
    held_out: int = HELD_OUT,
    schedule: Schedule = SCHEDULE,
) -> Trained:
    """Writes `<member>.safetensors`, marked as a demo, and `mask_rcnn_config.yaml`.

    Args:
        spec: a segmentation of `TEXTURES`, with one member.
        folder: where to write.
        seed: 0 or more; the same seed gives the same weights on the same machine.
        on_progress: told how far it is.
        drawings: how many to train on.
        held_out: how many to judge by.
        schedule: how long to train.

    Raises:
        UnsuitablePipelineError: the pipeline has other classes than the drawings.
    """
    if spec.classes != tuple(TEXTURES):
        raise UnsuitablePipelineError(
            f"{spec.name}: drawings are made of {', '.join(TEXTURES)}, in this order; "
            "give checkpoints of your own"
        )
    (name,) = spec.members
    config = _config(spec)
    steps = schedule.steps(drawings) + drawings / _DRAWINGS_A_STEP + held_out / _JUDGED_A_STEP
    progress = Steps(steps, on_progress)
    progress.begin("drawing")
    shown = list(
        _drawn(drawings, 2 * seed, _TRAINED_ON, lambda: progress.advance(1 / _DRAWINGS_A_STEP))
    )
    progress.begin(f"training {name}")
    # Initial weights and sampled regions come from torch's own generator: it is left as it was.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build(config, spec.preprocessing, **_TRAINING)
        mask_rcnn_fitting.fit(
            model,
            shown,
            schedule,
            generator=torch.Generator().manual_seed(seed),
            on_step=progress.advance,
        )
    file = folder / f"{name}.safetensors"
    rounding.round_weights(model)
    rounding.write(model, file, spec.classes)
    config.write(folder)
    progress.begin(f"checking {name}")
    unseen = _drawn(
        held_out, 2 * seed + 1, _JUDGED_BY, lambda: progress.advance(1 / _JUDGED_A_STEP)
    )
    figures = mask_rcnn_judging.judge(ServedMaskRcnn(model).eval(), unseen, spec)
    return Trained({name: file}, figures, held_out, drawings, {name: dataclasses.asdict(schedule)})


def _config(spec: PipelineSpec) -> MaskRcnnConfig:
    """A tenth of torchvision's Mask R-CNN, for lesions of a known size."""
    return MaskRcnnConfig(
        classes=spec.classes,
        backbone=Backbone.RESNET10_FPN,
        norm=Norm.BATCH,
        norm_eps=1e-5,
        min_size=_SHORT,
        max_size=2 * _SHORT,
        anchor_sizes=((28,), (44,), (64,), (90,), (128,)),
        aspect_ratios=(1,),
        detections_per_image=50,
        rpn_pre_nms_top_n=_PROPOSALS_BEFORE,
        rpn_post_nms_top_n=_PROPOSALS,
        fpn_channels=64,
        box_head_channels=128,
        mask_head_channels=(64, 64),
    )


def _drawn(
    count: int, seed: int, sizes: tuple[tuple[int, int], ...], on_drawing: Callable[[], None]
) -> Iterator[Drawing]:
    """Drawings of all sizes in turn; two seeds share none."""
    seeds = np.random.default_rng(seed).integers(2**62, size=count).tolist()
    for index, number in enumerate(seeds):
        yield lesions.draw(number, *sizes[index % len(sizes)])
        on_drawing()
