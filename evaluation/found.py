"""From a detector's answer to what the metrics take."""

from secondopinion import Detections, Mask

from evaluation.metrics.objects import Found, Rle


def objects(answer: Detections) -> list[Found]:
    """The detections of one photo."""
    return [
        Found(
            label=each.class_name,
            score=each.score,
            box=(each.box.x1, each.box.y1, each.box.x2, each.box.y2),
            mask=None if each.mask is None else _rle(each.mask),
        )
        for each in answer.predictions
    ]


def _rle(mask: Mask) -> Rle:
    return {"size": list(mask.size), "counts": mask.counts}
