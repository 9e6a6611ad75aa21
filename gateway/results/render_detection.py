"""The answers of a detection or a segmentation."""

from gateway.core.parameters import Choices
from gateway.results.detection import Detection, Detections
from gateway.results.frame import Json, framed


def answer(found: Detections, choices: Choices) -> Json:
    """The answer about one image; a picture of it, as PNG bytes, only where one was asked for."""
    content = entry(found, choices)
    if found.visualization:
        content["visualization"] = found.visualization
    return framed(found, choices, content)


def entry(found: Detections, _: Choices) -> Json:
    """One image of a batch."""
    return {
        "predictions": [_prediction(detection) for detection in found.detections],
        "image": {"width": found.width, "height": found.height},
        "metrics": {
            "count": len(found.detections),
            "class_distribution": found.counts,
            "scores": [detection.score for detection in found.detections],
            "areas": [detection.area for detection in found.detections],
        },
    }


def _prediction(detection: Detection) -> Json:
    prediction: Json = {
        "class": detection.label,
        "score": detection.score,
        "box": detection.box,
        "area": detection.area,
    }
    if detection.mask is not None:
        prediction["mask"] = detection.mask.model_dump()
    if detection.polygons is not None:
        prediction["polygons"] = detection.polygons
    return prediction
