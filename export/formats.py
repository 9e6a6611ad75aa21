"""Writes a member as ONNX or TorchScript, and runs the written file."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import nn

from export.errors import ConversionError
from export.quiet import quiet
from pipelines import protocol
from pipelines.enums import Format

OPSET = 20
"""Newest ONNX operator set that ONNX Runtime 1.19 (Triton 24.10's) takes with IR 10."""

Run = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""Pixels UINT8 [N, H, W, 3] to one output of a member: logits FP32 [N, K], or features [N, D]."""


def write(
    member: nn.Module,
    height: int,
    width: int,
    format_: Format,
    path: Path,
    *,
    outputs: Sequence[str] = (protocol.MEMBER_OUTPUT,),
) -> int | None:
    """Writes an artefact; returns its ONNX opset, None for TorchScript.

    Args:
        member: in eval mode; takes UINT8 pixels and gives as many tensors as `outputs` has names.
        height: of the pixels.
        width: of the pixels.
        format_: ONNX or TorchScript.
        path: the file to write.
        outputs: names, in order; TorchScript has none, but Triton reads the index out of them.

    Raises:
        ConversionError: the exporter failed, or fixed the batch dimension.
    """
    if format_ is Format.ONNX:
        return write_onnx(member, (height, width), outputs, path)
    try:
        with quiet(), torch.inference_mode():
            traced = torch.jit.trace(member, _example(height, width))  # type: ignore[no-untyped-call]
            torch.jit.save(torch.jit.freeze(traced), path)
    except RuntimeError as error:
        raise _failed(format_, error) from error
    return None


def open_artefact(path: Path, format_: Format) -> Run:
    """Loads an artefact, as its Triton backend would, to run it for its logits."""
    return _open(path, format_, protocol.MEMBER_OUTPUT)


def open_features(path: Path, format_: Format, output: str = protocol.MEMBER_FEATURES) -> Run:
    """Loads an artefact that gives features under this name, to run it for them."""
    return _open(path, format_, output)


def _open(path: Path, format_: Format, output: str) -> Run:
    if format_ is Format.ONNX:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

        def run_onnx(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
            outputs = session.run([output], {protocol.MEMBER_INPUT: pixels})
            return np.asarray(outputs[0], dtype=np.float32)

        return run_onnx
    with quiet():
        module = torch.jit.load(path)  # type: ignore[no-untyped-call]

    def run_torchscript(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.inference_mode():
            answer = module(torch.from_numpy(pixels))
        outputs = answer if isinstance(answer, tuple) else (answer,)
        # As Triton's PyTorch backend finds it: by the number behind the name.
        found: torch.Tensor = outputs[int(output.rpartition("__")[2])]
        return found.numpy()

    return run_torchscript


def write_onnx(served: nn.Module, size: tuple[int, int], outputs: Sequence[str], path: Path) -> int:
    """Writes a module of UINT8 pixels [N, height, width, 3] as one ONNX file; returns its opset.

    Args:
        served: in eval mode; gives as many tensors [N, ...] as `outputs` has names.
        size: height and width.
        outputs: names, in order.
        path: the file to write.

    Raises:
        ConversionError: the exporter failed, or fixed the batch dimension.
    """
    try:
        with quiet():
            program = torch.onnx.export(
                served,
                (_example(*size),),
                dynamo=True,
                opset_version=OPSET,
                external_data=False,
                input_names=[protocol.MEMBER_INPUT],
                output_names=list(outputs),
                dynamic_shapes=({0: torch.export.Dim("batch")},),
            )
            if program is None:
                raise ConversionError("the exporter returned nothing")
            program.save(path)
    except (torch.onnx.errors.OnnxExporterError, RuntimeError) as error:
        raise _failed(Format.ONNX, error) from error
    model = onnx.load(path)
    for tensor in (*model.graph.input, *model.graph.output):
        batch = tensor.type.tensor_type.shape.dim[0]
        if not batch.dim_param:
            raise ConversionError(f"the exporter fixed the batch to {batch.dim_value}")
    opset: int = model.opset_import[0].version
    if opset > OPSET:
        raise ConversionError(f"the exporter wrote opset {opset}, newer than {OPSET}")
    return opset


def _example(height: int, width: int) -> torch.Tensor:
    # Two images: an exporter takes a batch of one for a constant.
    return torch.zeros((2, height, width, 3), dtype=torch.uint8)


def _failed(format_: Format, error: Exception) -> ConversionError:
    reason = str(error).strip().splitlines()[0]
    return ConversionError(f"cannot be written as {format_}: {reason}")
