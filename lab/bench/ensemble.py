"""Runs the models of a plan in the current process: photos to probabilities or detections.

The raw limit and all peers run this code, so that only their serving differs.
It needs NumPy, Pillow, simplejpeg and ONNX Runtime alone.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from inference.candidates import Candidates
from inference.decision import probabilities, weighted_mean
from inference.decode import Decoded, decode
from inference.detections import Tensors, find, located
from inference.rules import DecodeRules, DetectionRules
from lab.bench.plan import Plan
from lab.load.numbers import of_detections
from pipelines.enums import Task
from pipelines.protocol import Detected

Pixels = NDArray[np.uint8]
Logits = NDArray[np.float32]
Member = Callable[[Pixels], Logits]
"""From UINT8 [N, H, W, 3] to FP32 [N, K]."""


Photo = TypeVar("Photo")
Found = TypeVar("Found")


class Model(Protocol[Photo, Found]):
    """What answers photos of a plan, whatever its task."""

    def decode(self, data: bytes) -> Photo:
        """One photo as the members see it."""

    def run(self, photos: Sequence[Photo]) -> Sequence[Found]:
        """What is found in each photo."""

    def answer(self, found: Found) -> dict[str, Any]:
        """One photo's as the JSON that peers answer with."""

    def numbers(self, found: Found) -> list[float]:
        """By which answers are compared."""


def opened(
    plan: Plan, threads: int, open_member: Callable[[str, int], Member] | None = None
) -> "Model[Any, Any]":
    """Opens the models of a plan, by its task.

    Args:
        plan: the models and their weights.
        threads: of each forward pass.
        open_member: opens a classifier by the path of its file; None: with ONNX Runtime.
    """
    if plan.spec["task"] == Task.CLASSIFICATION:
        return Ensemble(plan, threads, open_member or with_onnxruntime)
    return Detector(plan, threads)


def session(path: str, threads: int) -> onnxruntime.InferenceSession:
    """An ONNX file in ONNX Runtime, with so many threads of each forward pass."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Threads that spin between requests take the cores from other processes.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])


def with_onnxruntime(path: str, threads: int) -> Member:
    """A member as ONNX Runtime runs it.

    Args:
        path: its ONNX file.
        threads: of each forward pass.
    """
    graph = session(path, threads)
    name = graph.get_inputs()[0].name

    def run(pixels: Pixels) -> Logits:
        logits: Logits = graph.run(None, {name: pixels})[0]
        return logits

    return run


class Ensemble:
    """All members of a plan, on the CPU, and their weighted mean."""

    def __init__(
        self, plan: Plan, threads: int, open_member: Callable[[str, int], Member] = with_onnxruntime
    ) -> None:
        """Opens the models.

        Args:
            plan: the models and their weights.
            threads: of each forward pass.
            open_member: opens a member by the path of its file, with so many threads.
        """
        self._members = [open_member(member.path, threads) for member in plan.members]
        self._weights = [member.weight for member in plan.members]
        self._classes = plan.spec["classes"]
        self._rules = DecodeRules.from_spec(plan.spec)

    def decode(self, data: bytes) -> Pixels:
        """One photo as the members see it, UINT8 [H, W, 3]."""
        return decode(data, self._rules).pixels

    def run(self, photos: Sequence[Pixels]) -> list[NDArray[np.float32]]:
        """The probabilities FP32 [K] of each photo."""
        return list(self.probabilities(photos))

    def probabilities(self, pixels: Sequence[Pixels]) -> NDArray[np.float32]:
        """FP32 [N, K]: the weighted mean of the members' softmax, for N images in one batch."""
        batch, classes = np.stack(pixels), len(self._classes)
        each = [probabilities(member(batch), classes, "a member") for member in self._members]
        return weighted_mean(np.stack(each, axis=1), self._weights).astype(np.float32)

    def answer(self, found: NDArray[np.float32]) -> dict[str, Any]:
        """One image's FP32 [K] as the JSON that peers answer with."""
        named = zip(self._classes, found.tolist(), strict=True)
        return {"probabilities": dict(named)}

    @staticmethod
    def numbers(found: NDArray[np.float32]) -> list[float]:
        """By which answers are compared."""
        return [float(number) for number in found]


class Detector:
    """The detector of a plan, on the CPU, one photo after the other."""

    def __init__(self, plan: Plan, threads: int) -> None:
        """Opens the model, with so many threads of each forward pass."""
        (member,) = plan.members
        self._graph = session(member.path, threads)
        self._input = self._graph.get_inputs()[0]
        self._outputs = [output.name for output in self._graph.get_outputs()]
        self._rules = DetectionRules.from_spec(plan.spec)
        self._decode = DecodeRules.from_spec(plan.spec)
        # Where images keep their sizes, the graph takes one, and answers without a batch.
        self._batched = len(self._input.shape) == 4  # noqa: PLR2004 - [N, H, W, 3]

    def decode(self, data: bytes) -> Decoded:
        """One photo as the member sees it, and how it was resized."""
        return decode(data, self._decode)

    def run(self, photos: Sequence[Decoded]) -> list[Tensors]:
        """The detections of each photo, as `Detected`; masks of a segmentation."""
        return [self._detect(photo) for photo in photos]

    def _detect(self, photo: Decoded) -> Tensors:
        pixels = photo.pixels[None] if self._batched else photo.pixels
        found = self._graph.run(self._outputs, {self._input.name: pixels})
        outputs = {
            name: array if self._batched else array[None]
            for name, array in zip(self._outputs, found, strict=True)
        }
        rules, geometry = self._rules, photo.geometry
        member = rules.members[rules.default_member]
        candidates = Candidates.of(outputs, member=member, classes=len(rules.classes))
        frame = (geometry.height, geometry.width)
        detections = find(candidates, geometry, rules.threshold)
        size = np.array(frame, dtype=np.int32)
        return {**located(detections, frame, polygons=False), Detected.IMAGE_SIZE: size}

    def answer(self, found: Tensors) -> dict[str, Any]:
        """One photo's detections as JSON, in the gateway's words."""
        height, width = found[Detected.IMAGE_SIZE].tolist()
        masks = found.get(Detected.MASKS)
        return {
            "predictions": [
                {
                    "class": self._rules.classes[index],
                    "score": score,
                    "box": box,
                    "area": area,
                    **({} if masks is None else {"mask": json.loads(masks[number])}),
                }
                for number, (index, score, box, area) in enumerate(
                    zip(
                        found[Detected.CLASSES].tolist(),
                        found[Detected.SCORES].tolist(),
                        found[Detected.BOXES].tolist(),
                        found[Detected.AREAS].tolist(),
                        strict=True,
                    )
                )
            ],
            "image": {"width": width, "height": height},
        }

    @staticmethod
    def numbers(found: Tensors) -> list[float]:
        """By which answers are compared."""
        height, width = found[Detected.IMAGE_SIZE].tolist()
        return of_detections(
            found[Detected.SCORES].tolist(), found[Detected.BOXES].tolist(), width, height
        )
