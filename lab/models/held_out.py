"""Accuracy of artefacts on held-out demo drawings."""

from pathlib import Path

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from demo import lesions, scenes
from demo.labelled import labelled
from demo.lesions import Drawing
from demo.scenes import Scene
from evaluation.metrics.detection import match, mean_average_precision
from evaluation.metrics.objects import Box, Found, Rle, Truth
from export import formats, gate, photos
from export.torchvision_ops import ensure_declared
from inference.resize import fit
from pipelines import protocol
from pipelines.enums import Format, Task
from pipelines.protocol import DetectorOutput
from pipelines.spec import PipelineSpec

ensure_declared()
from torchvision.models.detection.roi_heads import paste_masks_in_image  # noqa: E402 - see above

IMAGES = 500
SCENES = 100
# From this probability on a pixel belongs to a mask.
_INSIDE = 0.5
SIZE = (480, 640)
"""Height and width of a drawing where images keep their sizes."""
# `labelled` gives every seed drawings of its own; the export takes the small ones.
_SEED = 10**6
# Far from the seeds that trainings draw from.
_FIRST_SCENE = 2**50


def quality(spec: PipelineSpec, artefacts: dict[str, tuple[Path, Format]]) -> dict[str, str]:
    """Accuracy or mAP of each artefact, as text."""
    if not artefacts:
        return {}
    if spec.task is not Task.CLASSIFICATION:
        return {name: _detection(spec, path) for name, (path, _) in artefacts.items()}
    pixels, labels = labelled(spec, IMAGES, _SEED)
    return {
        name: f"accuracy {accuracy(spec, formats.open_artefact(*artefact), pixels, labels):.3f}"
        for name, artefact in artefacts.items()
    }


def accuracy(
    spec: PipelineSpec, run: formats.Run, pixels: NDArray[np.uint8], labels: NDArray[np.int64]
) -> float:
    """Share of images [N, H, W, 3] on which one member alone decides as the labels [N] say."""
    return float((gate.decisions(gate.logits(run, pixels), spec) == labels).mean())


def _detection(spec: PipelineSpec, path: Path) -> str:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    height, width = spec.preprocessing.size or SIZE
    truth, found, rules = [], [], photos.decode_rules(spec)
    for number in range(SCENES):
        drawing = _drawing(spec.task, _FIRST_SCENE + number, width, height)
        pixels = np.array(fit(drawing.image, rules)[0])
        batched = spec.preprocessing.size is not None
        outputs = session.run(names, {protocol.MEMBER_INPUT: pixels[None] if batched else pixels})
        if batched:
            outputs = [output[0] for output in outputs]
        truth.append(_truth(spec, drawing))
        found.append(_found(spec, dict(zip(names, outputs, strict=True)), height, width))
    precision = mean_average_precision(truth, found, spec.classes).at_50
    text = f"mAP@0.5 {precision:.3f}"
    if spec.task is Task.SEGMENTATION and spec.threshold is not None:
        matches = match(truth, found, spec.classes, spec.threshold.default)
        ious = [iou for each in matches for iou in each.mask_ious]
        text += f", mask IoU {np.mean(ious):.3f}" if ious else ", nothing met"
    return text


def _drawing(task: Task, seed: int, width: int, height: int) -> Scene | Drawing:
    """A drawing with five objects or more: image, boxes, classes; of a segmentation also masks."""
    if task is Task.SEGMENTATION:
        return lesions.draw(seed, width, height)
    return scenes.draw(seed, width, height)


def _truth(spec: PipelineSpec, drawing: Scene | Drawing) -> list[Truth]:
    masks = drawing.masks if isinstance(drawing, Drawing) else [None] * len(drawing.boxes)
    return [
        Truth(spec.classes[class_], _box(box), None if mask is None else _rle(mask))
        for class_, box, mask in zip(drawing.classes, drawing.boxes, masks, strict=True)
    ]


def _found(
    spec: PipelineSpec, outputs: dict[str, NDArray[np.generic]], height: int, width: int
) -> list[Found]:
    """A detector's answers, all scores; masks are laid over the image as torchvision does."""
    boxes = np.asarray(outputs[DetectorOutput.BOXES], np.float32)
    rles: list[Rle | None] = [None] * len(boxes)
    if len(boxes) and DetectorOutput.MASKS in outputs:
        masks = torch.from_numpy(np.asarray(outputs[DetectorOutput.MASKS], np.float32))[:, None]
        whole = paste_masks_in_image(masks, torch.from_numpy(boxes), (height, width))
        rles = [_rle(mask[0].numpy() >= _INSIDE) for mask in whole]
    scores, classes = outputs[DetectorOutput.SCORES], outputs[DetectorOutput.CLASSES]
    return [
        Found(spec.classes[int(class_)], float(score), _box(box), rle)
        for class_, score, box, rle in zip(classes, scores, boxes, rles, strict=True)
    ]


def _box(box: NDArray[np.float32]) -> Box:
    x1, y1, x2, y2 = map(float, box)
    return x1, y1, x2, y2


def _rle(mask: NDArray[np.bool_]) -> Rle:
    packed = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": list(packed["size"]), "counts": packed["counts"].decode("ascii")}
