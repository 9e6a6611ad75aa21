"""Matches detections to labelled objects with pycocotools."""

import contextlib
import io
from collections.abc import Sequence
from typing import Any, Literal

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from evaluation.metrics.objects import Found, Truth

IouType = Literal["bbox", "segm"]


def judge(
    truth: Sequence[Sequence[Truth]],
    found: Sequence[Sequence[Found]],
    classes: Sequence[str],
    iou_type: IouType,
    most: int,
) -> COCOeval:
    """Matches detections to objects of their class, image by image, the best scores first.

    Args:
        truth: The objects of each image; image i has COCO's id i + 1.
        found: The detections of each image.
        classes: All class names; class i has COCO's id i + 1.
        iou_type: What is compared, boxes or masks.
        most: Detections of a class that count in an image.

    Returns:
        COCOeval after `evaluate`; each entry has its `mask` beside COCO's own keys.

    Raises:
        ValueError: The images do not fit each other, a label is none of the classes, or a mask
            is missing where masks are compared.
    """
    if len(truth) != len(found):
        raise ValueError(f"truth is of {len(truth)} images and found of {len(found)}")
    with contextlib.redirect_stdout(io.StringIO()):  # it reports its progress with print
        judged = COCOeval(
            _coco(truth, classes, iou_type), _coco(found, classes, iou_type), iouType=iou_type
        )
        judged.params.imgIds = list(range(1, len(truth) + 1))
        judged.params.catIds = list(range(1, len(classes) + 1))
        judged.params.areaRng, judged.params.areaRngLbl = [[0, 1e10]], ["all"]
        judged.params.maxDets = [most]
        judged.evaluate()
    return judged


def _coco(
    images: Sequence[Sequence[Truth | Found]], classes: Sequence[str], iou_type: IouType
) -> COCO:
    """The objects as a COCO dataset; its ids start at 1, as COCOeval takes 0 for "no match"."""
    number = {name: index for index, name in enumerate(classes, 1)}
    entries: list[dict[str, Any]] = []
    for image, objects in enumerate(images, 1):
        for each in objects:
            if each.label not in number:
                raise ValueError(f"{each.label!r} is none of the classes: {', '.join(classes)}")
            if iou_type == "segm" and each.mask is None:
                raise ValueError(f"an object of {each.label!r} has no mask")
            x1, y1, x2, y2 = each.box
            entries.append({
                "id": len(entries) + 1,
                "image_id": image,
                "category_id": number[each.label],
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "area": (x2 - x1) * (y2 - y1),
                "mask": each.mask,
                "segmentation": each.mask,
                "iscrowd": int(isinstance(each, Truth) and each.crowd),
                **({"score": each.score} if isinstance(each, Found) else {}),
            })  # fmt: skip
    # The sizes are only read to turn polygons into masks, and there are none.
    sizes = [{"id": image, "height": 1, "width": 1} for image in range(1, len(images) + 1)]
    coco = COCO()
    coco.dataset = {
        "images": sizes,
        "annotations": entries,
        "categories": [{"id": index, "name": name} for name, index in number.items()],
    }
    coco.createIndex()
    return coco
