"""Evaluates a YOLOS on drawings of scenes: mAP, and how many objects it finds."""

from collections.abc import Callable

import torch

from demo.yolos_scenes import NONE, Scenes
from evaluation.metrics.detection import mean_average_precision
from evaluation.metrics.objects import Box, Found, Truth
from export.detectors.yolos import ServedYolos
from pipelines.spec import PipelineSpec

_AT_ONCE = 10


def judge(
    served: ServedYolos,
    scenes: Scenes,
    spec: PipelineSpec,
    on_scene: Callable[[], None] = lambda: None,
) -> dict[str, float]:
    """Figures by name.

    `mAP@0.5` is COCO's, over all scores. `detections` and `objects` are means over the scenes:
    what reaches the pipeline's default threshold, and what there is.
    """
    sides = torch.tensor([scenes.pixels.shape[index] for index in (2, 1, 2, 1)])
    truth = [
        [
            Truth(spec.classes[kind], _box(box))
            for kind, box in zip(kinds.tolist(), boxes, strict=True)
            if kind != NONE
        ]
        for kinds, boxes in zip(scenes.classes, scenes.boxes * sides, strict=True)
    ]
    found: list[list[Found]] = []
    for start in range(0, len(truth), _AT_ONCE):
        with torch.inference_mode():
            answers = served(scenes.pixels[start : start + _AT_ONCE])
        for boxes, scores, kinds, _ in zip(*answers, strict=True):
            each = zip(kinds.tolist(), scores.tolist(), boxes, strict=True)
            found.append([Found(spec.classes[kind], score, _box(box)) for kind, score, box in each])
            on_scene()
    least = spec.threshold.default if spec.threshold else 0.0
    sure = sum(each.score >= least for image in found for each in image)
    return {
        "mAP@0.5": mean_average_precision(truth, found, spec.classes).at_50 or 0.0,
        "detections": sure / len(found),
        "objects": sum(map(len, truth)) / len(truth),
    }


def _box(box: torch.Tensor) -> Box:
    x1, y1, x2, y2 = box.tolist()
    return x1, y1, x2, y2
