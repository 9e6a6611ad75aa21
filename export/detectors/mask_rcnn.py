"""Opens a Mask R-CNN checkpoint: a state dict with `mask_rcnn_config.yaml` beside it."""

import hashlib
import re
from functools import partial
from pathlib import Path

from export import checkpoint, class_order, class_statements
from export.checkpoint import Checkpoint
from export.class_map import Numbered
from export.class_order import Background
from export.class_statements import Statement
from export.detector import Detector
from export.detectors import mask_rcnn_config
from export.detectors.mask_rcnn_config import MaskRcnnConfig, Norm
from export.detectors.mask_rcnn_graph import ServedMaskRcnn, write
from export.detectors.mask_rcnn_model import build
from export.errors import CheckpointError
from export.read_options import AS_THE_FILE_SAYS, ReadOptions
from pipelines.manifest import sha256_of
from pipelines.spec import PipelineSpec

# Names of layers before torchvision 0.13, and now. Its own COCO_V1 weights have the old ones.
_RENAMED = (
    (re.compile(r"^(backbone\.fpn\.(?:inner|layer)_blocks\.\d)\.(weight|bias)$"), r"\1.0.\2"),
    (re.compile(r"^rpn\.head\.conv\.(weight|bias)$"), r"rpn.head.conv.0.0.\1"),
)
_OLD_MASK_LAYER = re.compile(r"^roi_heads\.mask_head\.mask_fcn(\d)\.")
_COUNTER = ".num_batches_tracked"

# Renaming Detectron2's keys is not enough. It normalises BGR pixels of 0 to 255 and puts the stride
# of a bottleneck elsewhere (both by configuration), aligns regions with half-pixel centres, adds no
# floor to the size of a region, has the background as the last class and not the first, and places
# anchors by other rounding: the same weights under torchvision's graph find other boxes.
_DETECTRON2_KEYS = re.compile(
    r"backbone\.(bottom_up|fpn_lateral\d|fpn_output\d)\.|proposal_generator\."
)
_DETECTRON2 = (
    "is a Detectron2 checkpoint, which is not converted: Detectron2 differs from torchvision in "
    "the order of the colour channels, the alignment of regions, the place of the background among "
    "the classes and the anchors, so that the same weights would find other boxes. Train "
    "torchvision's maskrcnn_resnet50_fpn on the same data (COCO annotations can be kept) and write "
    "mask_rcnn_config.yaml beside its state dict"
)


def open_checkpoint(
    path: Path, spec: PipelineSpec, options: ReadOptions = AS_THE_FILE_SAYS
) -> Detector:
    """Rebuilds a Mask R-CNN from a state dict (bare, or nested) and its configuration.

    Raises:
        CheckpointError: a file is missing or cannot be read, is Detectron2's, or does not fit the
            pipeline or its configuration.
    """
    source = checkpoint.read(path, options)
    if any(_DETECTRON2_KEYS.match(key) for key in source.keys):
        raise CheckpointError(f"{path}: {_DETECTRON2}")
    beside = path.with_name(mask_rcnn_config.FILENAME)
    config = mask_rcnn_config.read(beside, spec)
    _require_norm(source, config, beside)
    model = build(config, spec.preprocessing)
    loaded = source.load_into(
        model, spec.classes, preprocessing=spec.preprocessing, rename=_renamed
    )
    configured = Statement(beside, f"{beside.name}: classes", Numbered(0, config.classes))
    said = [configured, *class_statements.of_checkpoint(source.file)]
    order = class_order.decide(spec, said, options, Background.FIRST)
    served = ServedMaskRcnn(model, class_order.places(order, spec.classes)).eval()
    both = source.sha256 + sha256_of(beside)
    return Detector(
        module=served,
        sha256=hashlib.sha256(both.encode()).hexdigest(),
        weights=source.weights,
        loaded=loaded,
        order=order,
        write=partial(write, served),
    )


def _renamed(key: str) -> str:
    for old, new in _RENAMED:
        key = old.sub(new, key)
    return _OLD_MASK_LAYER.sub(lambda layer: f"roi_heads.mask_head.{int(layer[1]) - 1}.0.", key)


def _require_norm(source: Checkpoint, config: MaskRcnnConfig, beside: Path) -> None:
    """The kinds of normalisation differ in their keys: better to say so than to list them."""
    counts = any(key.endswith(_COUNTER) for key in source.keys)
    if counts != (config.norm is Norm.BATCH):
        right = Norm.BATCH if counts else Norm.FROZEN_BATCH
        raise CheckpointError(
            f"{beside}: norm: is {config.norm}, but {source.path.name} has the keys of {right}"
        )
