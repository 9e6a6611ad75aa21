"""Recognises a Detectron2 checkpoint, which is refused.

Renaming its keys is not enough. Detectron2 normalises BGR pixels of 0 to 255 and puts the stride
of a bottleneck elsewhere (both by configuration), aligns regions with half-pixel centres, adds no
floor to the size of a region, has the background as the last class and not the first, and places
anchors by other rounding: the same weights under torchvision's graph find other boxes.
"""

import re
from collections.abc import Iterable

_KEYS = re.compile(r"backbone\.(bottom_up|fpn_lateral\d|fpn_output\d)\.|proposal_generator\.")

REFUSAL = (
    "is a Detectron2 checkpoint, which is not converted: Detectron2 differs from torchvision in "
    "the order of the colour channels, the alignment of regions, the place of the background among "
    "the classes and the anchors, so that the same weights would find other boxes. Train "
    "torchvision's maskrcnn_resnet50_fpn on the same data (COCO annotations can be kept) and write "
    "mask_rcnn_config.yaml beside its state dict"
)


def is_detectron2(keys: Iterable[str]) -> bool:
    """Whether a state dict's keys are Detectron2's."""
    return any(_KEYS.match(key) for key in keys)
