"""Opens a detector's checkpoint, and compares its artefact with it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import onnxruntime
import torch

from export.architectures import UnknownArchitectureError
from export.errors import ParityError
from export.read_options import AS_THE_FILE_SAYS, ReadOptions
from inference.features import difference
from pipelines import protocol
from pipelines.enums import Task
from pipelines.manifest import ClassOrder
from pipelines.protocol import DetectorOutput
from pipelines.spec import PipelineSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import nn

    from export.checkpoint import Loaded

    Numbers = NDArray[np.float32] | NDArray[np.int64]
    Outputs = dict[DetectorOutput, Numbers]

_BATCH = 3


@dataclass(frozen=True)
class Detector:
    """A detector rebuilt from a checkpoint, and how it becomes an artefact."""

    module: nn.Module
    """In eval mode. UINT8 pixels as the artefact takes them, [N, H, W, 3] or, where images keep
    their sizes, [H, W, 3], to a tuple of tensors: `protocol.DetectorOutput.of_candidates`, then
    its features."""
    sha256: str
    """Over all files that the checkpoint consists of."""
    weights: Literal["trained", "demo"]
    loaded: Loaded
    order: ClassOrder
    write: Callable[[Path], int]
    """Writes the ONNX file and returns its opset; raises ConversionError."""


@dataclass(frozen=True)
class Difference:
    """How far an artefact's answers lie from its checkpoint's, at worst."""

    scores: float
    """Of scores and mask probabilities, in [0, 1]."""
    boxes: float
    """Of a box's coordinates, in pixels of the input."""
    features: float
    """Of features, as `inference.features.difference`."""


def _mask_rcnn(path: Path, spec: PipelineSpec, options: ReadOptions) -> Detector:
    from export.detectors.mask_rcnn import open_checkpoint  # noqa: PLC0415 - see DETECTORS

    return open_checkpoint(path, spec, options)


def _yolos(path: Path, spec: PipelineSpec, options: ReadOptions) -> Detector:
    from export.detectors.yolos import open_checkpoint  # noqa: PLC0415 - see DETECTORS

    return open_checkpoint(path, spec, options)


DETECTORS: dict[str, Callable[[Path, PipelineSpec, ReadOptions], Detector]] = {
    "mask_rcnn": _mask_rcnn,
    "yolos": _yolos,
}
"""Each imports its library, seconds of work, only when it is called."""


def open_detector(
    architecture: str, path: Path, spec: PipelineSpec, options: ReadOptions = AS_THE_FILE_SAYS
) -> Detector:
    """Rebuilds a detector from a checkpoint; nothing is downloaded.

    Raises:
        UnknownArchitectureError: no such detector; the message lists the known ones.
        CheckpointError: the checkpoint cannot be read, or does not fit the pipeline.
    """
    if architecture not in DETECTORS:
        raise UnknownArchitectureError(
            f"no detector {architecture!r}; the known ones are: {', '.join(sorted(DETECTORS))}. "
            "Correct `architecture` in the YAML, or add an opener to export/detector.py"
        )
    return DETECTORS[architecture](path, spec, options)


def parity(
    detector: Detector, artefact: Path, photos: Sequence[NDArray[np.uint8]], spec: PipelineSpec
) -> Difference:
    """The largest differences between a checkpoint in torch and its artefact.

    Both must find the same number of things, and for each one of the artefact's there must be one
    of the checkpoint's with the same class. Things are paired by what they are, not by their place,
    because two of almost equal score may stand in either order. A member that takes batches is
    asked with three photos at once too.

    Args:
        detector: the checkpoint.
        artefact: the ONNX file that was written from it.
        photos: UINT8 [H, W, 3] each, of the pipeline's size where it has one.
        spec: the pipeline.

    Raises:
        ParityError: there are no photos, a number of things or a class differs, or a number is not
            finite.
    """
    if not photos:
        raise ParityError("no photos to compare the artefact with its checkpoint on")
    session = onnxruntime.InferenceSession(artefact, providers=["CPUExecutionProvider"])
    candidates = DetectorOutput.of_candidates(masks=spec.task is Task.SEGMENTATION)
    names = [*candidates, DetectorOutput.FEATURES]
    worst = Difference(scores=0, boxes=0, features=0)
    for number, pixels in enumerate(_inputs(photos, batched=spec.preprocessing.size is not None)):
        with torch.inference_mode():
            expected = [tensor.numpy() for tensor in detector.module(torch.from_numpy(pixels))]
        found = session.run([str(name) for name in names], {protocol.MEMBER_INPUT: pixels})
        where = f"comparison {number + 1}"
        for one, other in zip(_images(expected, pixels), _images(found, pixels), strict=True):
            here = _difference(
                dict(zip(names, one, strict=True)), dict(zip(names, other, strict=True)), where
            )
            worst = Difference(
                scores=max(worst.scores, here.scores),
                boxes=max(worst.boxes, here.boxes),
                features=max(worst.features, here.features),
            )
    return worst


def _inputs(photos: Sequence[NDArray[np.uint8]], *, batched: bool) -> list[NDArray[np.uint8]]:
    if not batched:
        return list(photos)
    several = list(itertools.islice(itertools.cycle(photos), _BATCH))
    return [*(photo[None] for photo in photos), np.stack(several)]


def _images(outputs: Sequence[Numbers], pixels: NDArray[np.uint8]) -> list[tuple[Numbers, ...]]:
    """A batch's outputs, image by image; one image's are taken as they are."""
    if pixels.ndim == 3:  # noqa: PLR2004 - [H, W, 3]
        return [tuple(outputs)]
    if any(len(output) != len(pixels) for output in outputs):
        shapes = [list(output.shape) for output in outputs]
        raise ParityError(f"outputs {shapes} for a batch of {len(pixels)}")
    return list(zip(*outputs, strict=True))


def _difference(expected: Outputs, found: Outputs, where: str) -> Difference:
    """Of one image."""
    for name in expected:
        if found[name].shape != expected[name].shape:
            raise ParityError(
                f"{where}: {name} {list(found[name].shape)}, in torch {list(expected[name].shape)}"
            )
        if not (np.isfinite(found[name]).all() and np.isfinite(expected[name]).all()):
            raise ParityError(f"{where}: {name} are not all finite")
    pairs = _pairs(expected, found, where)

    def worst(name: DetectorOutput) -> float:
        differences = np.abs(expected[name][pairs].astype(np.float64) - found[name])
        return float(differences.max(initial=0))

    probabilities = [n for n in (DetectorOutput.SCORES, DetectorOutput.MASKS) if n in expected]
    return Difference(
        scores=max(map(worst, probabilities)),
        boxes=worst(DetectorOutput.BOXES),
        features=difference(found[DetectorOutput.FEATURES], expected[DetectorOutput.FEATURES]),
    )


def _pairs(expected: Outputs, found: Outputs, where: str) -> NDArray[np.int64]:
    """For each thing found, the index of the one expected that lies closest to it.

    INT64 [q]; each index stands once, and classes agree.
    """
    free = np.ones(len(expected[DetectorOutput.CLASSES]), dtype=bool)
    pairs = np.empty(len(free), dtype=np.int64)
    for index, class_ in enumerate(found[DetectorOutput.CLASSES]):
        candidates = np.flatnonzero(free & (expected[DetectorOutput.CLASSES] == class_))
        if not len(candidates):
            raise ParityError(f"{where}: the artefact finds class {class_} more often than torch")
        pairs[index] = candidates[_distances(expected, candidates, found, index).argmin()]
        free[pairs[index]] = False
    return pairs


def _distances(
    expected: Outputs, candidates: NDArray[np.int64], found: Outputs, index: int
) -> NDArray[np.float64]:
    """How far one thing lies from each candidate, by box and score: many boxes may be alike."""
    boxes = expected[DetectorOutput.BOXES][candidates].astype(np.float64)
    scores = expected[DetectorOutput.SCORES][candidates].astype(np.float64)
    by_box = np.abs(boxes - found[DetectorOutput.BOXES][index]).max(axis=1)
    by_score = np.abs(scores - found[DetectorOutput.SCORES][index])
    return np.asarray(by_box + by_score, dtype=np.float64)
