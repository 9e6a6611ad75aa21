"""The tensors that a right answer has, by the pipeline's task."""

import json
import struct

import numpy as np

from pipelines.enums import Task
from pipelines.protocol import Compute, Detected, Output
from pipelines.spec import PipelineSpec

Tensor = np.ndarray | list[bytes]

WIDTH, HEIGHT = 640, 480
MEASURES = np.array([8.5, 0.25, 0.01, 2.86, 1.06, 0, 96.5], np.float32)
WARNINGS = np.array([1, 0, 0, 0, 0, 0], np.int32)
"""Of `MEASURES`: blurred."""
QUALITY = {
    "warnings": [
        {
            "code": "blurred",
            "detail": "The image is blurred. Hold the camera still and repeat the photo.",
        }
    ],
    "sharpness": 8.5,
    "dark_share": 0.25,
    "bright_share": 0.01,
    "resolution": 2.86,
    "blocking": 1.06,
    "colour_shift": 0.0,
    "brightness": 96.5,
}
"""As an answer shows it."""
JUDGED = {
    Output.TYPICALITY: np.array([0.3125], np.float32),
    Output.TYPICAL: np.array([1], np.int32),
    Output.TYPICALITY_VIEWS: np.array([2], np.int32),
}
"""Of an image of the usual kind, as both views see it."""
SECONDS = 0.015625
"""Of compute, of each part that runs."""
PICTURE = b"\x89PNG\r\n\x1a\npicture"
MASKS = [{"size": [HEIGHT, WIDTH], "counts": counts} for counts in ("PQ3a1`0", 'X\\`0"2', "Ye2")]
POLYGONS = [[[10.5, 20.0, 110.0, 20.0, 110.0, 220.5]], [[0.0, 0.0, 8.0, 0.0, 8.0, 9.0]], []]


def encoded(tensor: Tensor) -> bytes:
    if isinstance(tensor, list):
        return b"".join(struct.pack("<I", len(element)) + element for element in tensor)
    return tensor.tobytes()


def elements(raw: bytes) -> list[bytes]:
    found = []
    while raw:
        (size,) = struct.unpack_from("<I", raw)
        found.append(raw[4 : 4 + size])
        raw = raw[4 + size :]
    return found


def answer_of(spec: PipelineSpec, parameters: dict[str, str]) -> dict[str, Tensor]:
    if spec.task is Task.CLASSIFICATION:
        return _opinion(spec, parameters)
    return _detections(spec, parameters)


def compute(spec: PipelineSpec, parameters: dict[str, str]) -> np.ndarray:
    """As each part that runs has measured it, one after the other."""
    asked = {parameters["member"]} if "member" in parameters else set(spec.answering_members)
    table = np.zeros((len(spec.parts), len(Compute)), np.float32)
    table[:, Compute.MEASURED] = 1
    for index, part in enumerate(spec.parts):
        if part in spec.members and part not in asked:
            table[index, Compute.BEGAN :] = np.nan
            continue
        before = len(spec.parts) - index
        table[index] = SECONDS, 1, before * SECONDS, (before - 1) * SECONDS
    return table


def _opinion(spec: PipelineSpec, parameters: dict[str, str]) -> dict[str, Tensor]:
    """Members say 0.3, 0.85 and so on of the second class; others than those asked say nothing."""
    asked = {parameters["member"]} if "member" in parameters else set(spec.answering_members)
    members = np.zeros((len(spec.members), len(spec.classes)), np.float32)
    members[:, 0] = [0.7, 0.15, 0.6][: len(members)]
    members[:, 1] = [0.3, 0.85, 0.4][: len(members)]
    unheard = [name not in asked for name in spec.members]
    predictions = members.argmax(1).astype(np.int32)
    members[unheard], predictions[unheard] = np.nan, -1
    probabilities = np.zeros(len(spec.classes), np.float32)
    probabilities[:2] = 0.37, 0.63
    threshold = parameters.get("threshold", 0.5) if spec.threshold else np.nan
    return {
        Output.PROBABILITIES: probabilities,
        Output.MEMBER_PROBABILITIES: members,
        Output.MEMBER_PREDICTION: predictions,
        Output.PREDICTION: np.array([1], np.int32),
        Output.CONFIDENCE: np.array([0.63], np.float32),
        Output.DISAGREEMENT: np.array([0.55], np.float32),
        Output.ENTROPY: np.array([0.9506721], np.float32),
        Output.THRESHOLD: np.array([threshold], np.float32),
        Output.UNCERTAINTY_LEVEL: np.array([2], np.int32),
        Output.PREDICTION_SET: np.full(len(spec.classes), -1, np.int32),
        **JUDGED,
        Output.QUALITY: MEASURES,
        Output.QUALITY_WARNINGS: WARNINGS,
        Output.COMPUTE: compute(spec, parameters),
        **_explanation(spec, parameters, members[:, 1]),
    }


def _explanation(
    spec: PipelineSpec, parameters: dict[str, str], scores: np.ndarray
) -> dict[str, Tensor]:
    """The first cell of the second row matters, by a half of the score."""
    if spec.explanation is None:
        return {}
    grid = spec.explanation.grid if parameters.get("explain") == "true" else 0
    cells = np.zeros((len(scores), grid, grid), np.float32)
    if not grid:
        return {
            Output.EXPLANATION: cells,
            Output.FAITHFULNESS: np.zeros((len(scores), 0), np.float32),
        }
    cells[:, 1, 0] = scores / 2
    faithful = scores / 2 >= 0.05
    numbers = np.stack([scores, scores / 2, scores, faithful], axis=1).astype(np.float32)
    numbers[np.isnan(scores)] = np.nan
    return {Output.EXPLANATION: cells, Output.FAITHFULNESS: numbers}


def _detections(spec: PipelineSpec, parameters: dict[str, str]) -> dict[str, Tensor]:
    """Up to three objects, those that reach the score: of the third, first and third class."""
    threshold = float(parameters.get("threshold", 0.5))
    count = sum(score >= threshold for score in (0.9, 0.8, 0.55))
    boxes = [[10.5, 20, 110.25, 220.5], [0, 0, 640, 480], [600, 470, 640, 480]]
    polygons = [json.dumps(outlines).encode() for outlines in POLYGONS]
    asked = {name for name in ("polygons", "visualization") if parameters.get(name) == "true"}
    tensors: dict[str, Tensor] = {
        Detected.BOXES: np.array(boxes[:count], np.float32),
        Detected.SCORES: np.array([0.9, 0.8, 0.55][:count], np.float32),
        Detected.CLASSES: np.array([2, 0, 2][:count], np.int32),
        Detected.AREAS: np.array([19999.9, 307200, 400][:count], np.float32),
        Detected.IMAGE_SIZE: np.array([HEIGHT, WIDTH], np.int32),
        Detected.THRESHOLD: np.array([threshold], np.float32),
        **JUDGED,
        Detected.QUALITY: MEASURES,
        Detected.QUALITY_WARNINGS: WARNINGS,
        Detected.COMPUTE: compute(spec, parameters),
        Detected.VISUALIZATION: [PICTURE if "visualization" in asked else b""],
    }
    if spec.task is Task.SEGMENTATION:
        tensors[Detected.MASKS] = [json.dumps(mask).encode() for mask in MASKS[:count]]
        tensors[Detected.POLYGONS] = (polygons if "polygons" in asked else [b""] * 3)[:count]
    return tensors
