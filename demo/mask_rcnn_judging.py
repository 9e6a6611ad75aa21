"""Evaluates a Mask R-CNN on drawings: mAP, and the IoU of its masks."""

import contextlib
import io
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pycocotools import mask as rle
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from demo.lesions import Drawing
from export.detectors.mask_rcnn_graph import ServedMaskRcnn
from export.detectors.rcnn_parts import paste_masks_in_image
from pipelines.spec import PipelineSpec

# From this probability on a pixel belongs to a mask.
_INSIDE = 0.5
_MATCHED = 0.5

Entry = dict[str, Any]


def judge(
    served: ServedMaskRcnn, drawings: Iterable[Drawing], spec: PipelineSpec
) -> dict[str, float]:
    """Figures in [0, 1] by name.

    `box mAP@0.5` and `mask mAP@0.5` are COCO's, over all scores. `mask IoU` is the mean over the
    detections from the pipeline's default threshold on whose box meets one of a lesion of their
    class with an IoU of 0.5 or more; `found` is the share of lesions that such a one meets.
    """
    truth: list[Entry] = []
    found: list[Entry] = []
    for image, drawing in enumerate(drawings):
        truth += _truth(drawing, image)
        found += _found(served, drawing, image)
    least = spec.threshold.default if spec.threshold else 0.0
    matched = _matched(truth, [entry for entry in found if entry["score"] >= least])
    return {
        "box mAP@0.5": _precision(truth, found, len(spec.classes), "bbox"),
        "mask mAP@0.5": _precision(truth, found, len(spec.classes), "segm"),
        "mask IoU": float(np.mean(matched)) if matched else 0.0,
        "found": len(matched) / len(truth),
    }


def _truth(drawing: Drawing, image: int) -> list[Entry]:
    return [
        _entry(image, kind, box, mask) | {"area": int(mask.sum()), "iscrowd": 0}
        for kind, box, mask in zip(drawing.classes, drawing.boxes, drawing.masks, strict=True)
    ]


def _found(served: ServedMaskRcnn, drawing: Drawing, image: int) -> list[Entry]:
    pixels = torch.from_numpy(np.array(drawing.image))
    with torch.inference_mode():
        boxes, scores, classes, masks, _ = served(pixels)
        pasted = paste_masks_in_image(masks[:, None], boxes, pixels.shape[:2])[:, 0] > _INSIDE
    return [
        _entry(image, kind, box, mask) | {"score": float(score)}
        for kind, box, mask, score in zip(
            classes.numpy(), boxes.numpy(), pasted.numpy(), scores.numpy(), strict=True
        )
    ]


def _entry(image: int, kind: np.int64, box: NDArray[np.float32], mask: NDArray[np.bool_]) -> Entry:
    """What COCO says of one thing in one image."""
    x1, y1, x2, y2 = box.tolist()
    return {
        "image_id": image,
        "category_id": int(kind),
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "segmentation": rle.encode(np.asfortranarray(mask.astype(np.uint8))),
    }


def _precision(truth: list[Entry], found: list[Entry], classes: int, kind: str) -> float:
    """COCO's average precision at an IoU of 0.5, the mean over the classes."""
    if not found:
        return 0.0
    # Every drawing has lesions, so all images are named here.
    sizes = {entry["image_id"]: entry["segmentation"]["size"] for entry in truth}
    coco = COCO()
    coco.dataset = {
        "info": {},
        "images": [{"id": image, "height": h, "width": w} for image, (h, w) in sizes.items()],
        "categories": [{"id": index} for index in range(classes)],
        "annotations": [entry | {"id": index + 1} for index, entry in enumerate(truth)],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
        judged = COCOeval(coco, coco.loadRes([dict(entry) for entry in found]), kind)
        judged.params.iouThrs = np.array([_MATCHED])
        judged.evaluate()
        judged.accumulate()
    # [threshold, recall, class, area, most detections]: of all areas, and most detections.
    precisions = judged.eval["precision"][0, :, :, 0, -1]
    return float(precisions[precisions >= 0].mean())


def _matched(truth: list[Entry], found: list[Entry]) -> list[float]:
    """Mask IoU of each detection that meets a lesion, the surest first; each lesion once."""
    ious = []
    free = list(truth)
    for entry in sorted(found, key=lambda one: -one["score"]):
        same = [
            other
            for other in free
            if all(other[key] == entry[key] for key in ("image_id", "category_id"))
        ]
        if not same:
            continue
        overlaps = rle.iou([entry["bbox"]], [other["bbox"] for other in same], [0] * len(same))[0]
        best = int(overlaps.argmax())
        if overlaps[best] >= _MATCHED:
            masks = [entry["segmentation"]], [same[best]["segmentation"]]
            ious.append(float(rle.iou(*masks, [0])[0, 0]))
            free = [other for other in free if other is not same[best]]
    return ious
