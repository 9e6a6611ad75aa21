"""Writes a served member as ONNX or TorchScript, and runs what was written."""

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray

from export.errors import ConversionError
from export.graph import ServedMember
from pipelines import wire
from pipelines.spec import Format

OPSET = 20
"""Newest ONNX operator set that ONNX Runtime 1.19 (Triton 24.10's) takes with IR 10."""

Run = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""Pixels UINT8 [N, H, W, 3] to logits FP32 [N, K]."""


def write(member: ServedMember, height: int, width: int, format_: Format, path: Path) -> int | None:
    """Writes an artefact; returns its ONNX opset, None for TorchScript.

    Raises:
        ConversionError: the exporter failed, or fixed the batch dimension.
    """
    # Two images: an exporter takes a batch of one for a constant.
    example = torch.zeros((2, height, width, 3), dtype=torch.uint8)
    try:
        if format_ is Format.ONNX:
            return _write_onnx(member, example, path)
        _write_torchscript(member, example, path)
    except (torch.onnx.errors.OnnxExporterError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ConversionError(f"cannot be written as {format_}: {reason}") from error
    return None


def open_artefact(path: Path, format_: Format) -> Run:
    """Loads an artefact, as its Triton backend would, to run it."""
    if format_ is Format.ONNX:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

        def run_onnx(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
            outputs = session.run([wire.MEMBER_OUTPUT], {wire.MEMBER_INPUT: pixels})
            return np.asarray(outputs[0], dtype=np.float32)

        return run_onnx
    with _quiet():
        module = torch.jit.load(path)  # type: ignore[no-untyped-call]

    def run_torchscript(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.inference_mode():
            logits: torch.Tensor = module(torch.from_numpy(pixels))
        return logits.numpy()

    return run_torchscript


def _write_onnx(member: ServedMember, example: torch.Tensor, path: Path) -> int:
    with _quiet():
        program = torch.onnx.export(
            member,
            (example,),
            dynamo=True,
            opset_version=OPSET,
            external_data=False,
            input_names=[wire.MEMBER_INPUT],
            output_names=[wire.MEMBER_OUTPUT],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
        )
        if program is None:
            raise ConversionError("the exporter returned nothing")
        program.save(path)
    model = onnx.load(path)
    batch = model.graph.input[0].type.tensor_type.shape.dim[0]
    if not batch.dim_param:
        raise ConversionError(f"the exporter fixed the batch to {batch.dim_value}")
    opset: int = model.opset_import[0].version
    if opset > OPSET:
        raise ConversionError(f"the exporter wrote opset {opset}, newer than {OPSET}")
    return opset


def _write_torchscript(member: ServedMember, example: torch.Tensor, path: Path) -> None:
    with _quiet(), torch.inference_mode():
        traced = torch.jit.freeze(torch.jit.trace(member, example))  # type: ignore[no-untyped-call]
        torch.jit.save(traced, path)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silences the exporters' progress prints and deprecations: their results are checked."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
