"""Converts a checkpoint to an artefact, and compares the two."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from export import (
    architectures,
    checkpoint,
    class_order,
    class_statements,
    detector,
    formats,
    parity,
    tensors,
)
from export.calibration import Calibrations
from export.checkpoint import Loaded
from export.errors import CheckpointError, ConversionError, ParityError
from export.graph import ServedMember, as_served, head_as_served, with_features
from export.read_options import ReadOptions
from pipelines.calibration import MemberCalibration
from pipelines.enums import Format, Task
from pipelines.manifest import ClassOrder
from pipelines.spec import PipelineSpec

OnStep = Callable[[str], None]


@dataclass(frozen=True)
class Converted:
    """An artefact, where it comes from and how far its numbers lie from there."""

    artefact: Path
    opset: int | None
    """ONNX operator set; None for TorchScript."""
    checkpoint_sha256: str
    weights: Literal["trained", "demo"]
    loaded: Loaded
    order: ClassOrder
    error: float
    """Largest difference of logits; of a detector, of scores and mask probabilities."""
    error_boxes: float | None = None
    """Largest difference of a detector's boxes, in pixels of its input."""
    error_features: float | None = None
    """Of features, as `inference.features.difference`; None where it gives none."""
    calibration: MemberCalibration | None = None
    """Of a classifier whose logits were divided by a temperature."""


def convert(
    spec: PipelineSpec,
    name: str,
    source: Path,
    *,
    folder: Path,
    compared: Sequence[NDArray[np.uint8]],
    options: ReadOptions,
    on_step: OnStep,
    calibrations: Calibrations | None = None,
) -> Converted:
    """Writes one member's artefact into a folder and compares it with its checkpoint.

    Args:
        spec: the pipeline.
        name: the member.
        source: its checkpoint: a file, or a folder where the architecture has one.
        folder: where to write.
        compared: photos as the member sees them, UINT8 [H, W, 3] each.
        options: how the checkpoint is read.
        on_step: told what is being done.
        calibrations: where a classifier's temperature comes from; None: it gets none.

    Raises:
        ExportError: the checkpoint, the conversion or the comparison failed.
    """
    on_step(f"{name}: reading {source.name}")
    if spec.task is not Task.CLASSIFICATION:
        return _detector(
            spec, name, source, folder=folder, compared=compared, options=options, on_step=on_step
        )
    return _classifier(
        spec,
        name,
        source,
        folder=folder,
        compared=compared,
        options=options,
        on_step=on_step,
        calibrations=calibrations,
    )


def _classifier(
    spec: PipelineSpec,
    name: str,
    source: Path,
    *,
    folder: Path,
    compared: Sequence[NDArray[np.uint8]],
    options: ReadOptions,
    on_step: OnStep,
    calibrations: Calibrations | None,
) -> Converted:
    member = spec.members[name]
    read = checkpoint.read(source, options)
    model = architectures.build(member.architecture, spec.logits(name))
    loaded = read.load_into(
        model,
        spec.classes,
        preprocessing=spec.preprocessing,
        architecture=member.architecture,
    )
    order = class_order.decide(spec, class_statements.of_checkpoint(read.file), options)
    rows = class_order.rows(order, spec.classes)
    sha256, weights = read.sha256, read.weights
    # The largest members weigh more than a gigabyte, and the exporter needs several times that.
    del read
    served = ServedMember(model, spec.preprocessing).eval()

    calibrated = None
    if calibrations is not None:
        on_step(f"{name}: calibrating")
        calibrated = calibrations.of_checkpoint(
            spec, name, lambda pixels: as_served(served.logits(pixels), rows)
        )
    temperature = 1.0 if calibrated is None else calibrated.figures.temperature

    on_step(f"{name}: writing {member.architecture} as {member.format}")
    artefact = folder / member.format.filename
    height, width = spec.preprocessing.size or (0, 0)
    outputs = [tensor[0] for tensor in tensors.member_outputs(spec, name)]
    try:
        scaled = head_as_served(model, rows, temperature)
        with scaled, with_features(served, member.features) as written:
            opset = formats.write(written, height, width, member.format, artefact, outputs=outputs)
    except ConversionError as problem:
        raise ConversionError(f"{name}: {problem}") from problem

    on_step(f"{name}: comparing with the checkpoint")
    run = formats.open_artefact(artefact, member.format)
    try:
        error = parity.measure(served, run, compared, rows, temperature)
    except CheckpointError as problem:
        raise CheckpointError(f"{source}: {problem}") from None
    apart = None
    if member.features is not None:
        features = formats.open_features(artefact, member.format)
        apart = parity.measure_features(served, features, compared)
        _require_features(name, apart, spec)
    if error > spec.parity.tolerance:
        raise ParityError(
            f"{name}: the {member.format} artefact's logits differ from the checkpoint's by "
            f"{error:.2e}, more than parity.tolerance {spec.parity.tolerance:.0e}: "
            "nothing was written. Try the other format, or find the operation that differs"
        )
    return Converted(
        artefact,
        opset,
        sha256,
        weights,
        loaded,
        order,
        error,
        error_features=apart,
        calibration=calibrated,
    )


def _detector(
    spec: PipelineSpec,
    name: str,
    source: Path,
    *,
    folder: Path,
    compared: Sequence[NDArray[np.uint8]],
    options: ReadOptions,
    on_step: OnStep,
) -> Converted:
    member = spec.members[name]
    if member.format is not Format.ONNX:
        raise ConversionError(f"{name}: detectors are written as onnx: correct `format`")
    opened = detector.open_detector(member.architecture, source, spec, options)

    on_step(f"{name}: writing {member.architecture} as {member.format}")
    artefact = folder / member.format.filename
    opset = opened.write(artefact)

    on_step(f"{name}: comparing with the checkpoint")
    found = detector.parity(opened, artefact, compared, spec)
    boxes = spec.parity.boxes or 0.0
    if not (found.scores <= spec.parity.tolerance and found.boxes <= boxes):
        raise ParityError(
            f"{name}: the artefact differs from its checkpoint by {found.scores:.2e} in scores or "
            f"masks (parity.tolerance {spec.parity.tolerance:.0e}) and by {found.boxes:.2e} "
            f"pixels in boxes (parity.boxes {boxes:.0e}): nothing was written"
        )
    _require_features(name, found.features, spec)
    return Converted(
        artefact,
        opset,
        opened.sha256,
        opened.weights,
        opened.loaded,
        opened.order,
        found.scores,
        found.boxes,
        found.features,
    )


def _require_features(name: str, apart: float, spec: PipelineSpec) -> None:
    if not apart <= spec.parity.tolerance:
        raise ParityError(
            f"{name}: the artefact's features differ from the checkpoint's by {apart:.2e} of the "
            f"largest, more than parity.tolerance {spec.parity.tolerance:.0e}: nothing was written"
        )
