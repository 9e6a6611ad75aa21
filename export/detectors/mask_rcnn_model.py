"""Builds torchvision's Mask R-CNN from its configuration, with random weights."""

from collections.abc import Callable
from functools import partial

from torch import nn

from export.detectors.mask_rcnn_config import Backbone, MaskRcnnConfig, Norm
from export.detectors.rcnn_parts import (
    AnchorGenerator,
    BackboneWithFPN,
    BasicBlock,
    Bottleneck,
    FastRCNNPredictor,
    FrozenBatchNorm2d,
    MaskRCNN,
    MaskRCNNHeads,
    MaskRCNNPredictor,
    MultiScaleRoIAlign,
    ResNet,
    TwoMLPHead,
    initLevelMapper,
)
from pipelines.preprocessing import Preprocessing

_STAGES = 4
# Of the stages' maps: each has half the side of the one before, the first a quarter of the image's.
_LEVELS = range(2, 2 + _STAGES)
# Bins a side that the box head pools a region into.
_BOX_SIDE = 7

_BLOCKS: dict[Backbone, tuple[type[nn.Module], list[int]]] = {
    Backbone.RESNET10_FPN: (BasicBlock, [1, 1, 1, 1]),
    Backbone.RESNET18_FPN: (BasicBlock, [2, 2, 2, 2]),
    Backbone.RESNET50_FPN: (Bottleneck, [3, 4, 6, 3]),
    Backbone.RESNET101_FPN: (Bottleneck, [3, 4, 23, 3]),
}
_NORMS: dict[Norm, Callable[..., nn.Module]] = {
    Norm.FROZEN_BATCH: FrozenBatchNorm2d,
    Norm.BATCH: nn.BatchNorm2d,
}


def build(config: MaskRcnnConfig, preprocessing: Preprocessing, **training: float) -> MaskRCNN:
    """A Mask R-CNN with random weights; nothing is downloaded.

    With `resnet50_fpn` and the defaults, its keys and shapes are those of torchvision's
    `maskrcnn_resnet50_fpn`.

    Args:
        config: what the checkpoint says.
        preprocessing: gives mean and standard deviation.
        training: of `torchvision.models.detection.MaskRCNN`, what matters in training only.
    """
    labels = len(config.classes) + 1  # and the background
    *_, last = config.mask_head_channels
    model = MaskRCNN(
        _backbone(config),
        min_size=config.min_size,
        max_size=config.max_size,
        image_mean=list(preprocessing.mean),
        image_std=list(preprocessing.std),
        rpn_anchor_generator=AnchorGenerator(
            config.anchor_sizes, (config.aspect_ratios,) * len(config.anchor_sizes)
        ),
        rpn_pre_nms_top_n_test=config.rpn_pre_nms_top_n,
        rpn_post_nms_top_n_test=config.rpn_post_nms_top_n,
        rpn_nms_thresh=config.rpn_nms_threshold,
        box_head=TwoMLPHead(config.fpn_channels * _BOX_SIDE**2, config.box_head_channels),
        box_predictor=FastRCNNPredictor(config.box_head_channels, labels),
        box_score_thresh=config.score_threshold,
        box_nms_thresh=config.nms_threshold,
        box_detections_per_img=config.detections_per_image,
        mask_head=MaskRCNNHeads(config.fpn_channels, config.mask_head_channels, dilation=1),
        mask_predictor=MaskRCNNPredictor(last, last, labels),
        **training,
    )
    for pool in (model.roi_heads.box_roi_pool, model.roi_heads.mask_roi_pool):
        _fix_scales(pool)
    return model


def _fix_scales(pool: MultiScaleRoIAlign) -> None:
    """Tells a pool how the pyramid's maps are scaled.

    Left alone it infers that from the first image it sees, and infers wrongly from one that is a
    few pixels high: the padding to a multiple of 32 then weighs too much.
    """
    pool.scales = [2.0**-level for level in _LEVELS]
    pool.map_levels = initLevelMapper(
        _LEVELS[0], _LEVELS[-1], pool.canonical_scale, pool.canonical_level
    )


def _backbone(config: MaskRcnnConfig) -> BackboneWithFPN:
    block, blocks = _BLOCKS[config.backbone]
    body = ResNet(block, blocks, norm_layer=partial(_NORMS[config.norm], eps=config.norm_eps))
    first = body.inplanes // 2 ** (_STAGES - 1)
    return BackboneWithFPN(
        body,
        return_layers={f"layer{stage + 1}": str(stage) for stage in range(_STAGES)},
        in_channels_list=[first * 2**stage for stage in range(_STAGES)],
        out_channels=config.fpn_channels,
    )
