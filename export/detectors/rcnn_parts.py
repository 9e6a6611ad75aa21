"""Imports the used parts of torchvision's detectors, once its operators are registered."""

from export.torchvision_ops import ensure_runnable

ensure_runnable()

from torchvision.models.detection import MaskRCNN  # noqa: E402
from torchvision.models.detection.anchor_utils import AnchorGenerator  # noqa: E402
from torchvision.models.detection.backbone_utils import BackboneWithFPN  # noqa: E402
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead  # noqa: E402
from torchvision.models.detection.image_list import ImageList  # noqa: E402
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor  # noqa: E402
from torchvision.models.detection.roi_heads import paste_masks_in_image  # noqa: E402
from torchvision.models.detection.transform import resize_boxes  # noqa: E402
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet  # noqa: E402
from torchvision.ops import FrozenBatchNorm2d, MultiScaleRoIAlign  # noqa: E402
from torchvision.ops.poolers import initLevelMapper  # noqa: E402

__all__ = [
    "AnchorGenerator",
    "BackboneWithFPN",
    "BasicBlock",
    "Bottleneck",
    "FastRCNNPredictor",
    "FrozenBatchNorm2d",
    "ImageList",
    "MaskRCNN",
    "MaskRCNNHeads",
    "MaskRCNNPredictor",
    "MultiScaleRoIAlign",
    "ResNet",
    "TwoMLPHead",
    "initLevelMapper",
    "paste_masks_in_image",
    "resize_boxes",
]
