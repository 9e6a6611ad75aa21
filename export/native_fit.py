"""Compares a member's artefact with its Triton config, as Triton's native backends do."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from google.protobuf import json_format

from export import triton_config
from export.errors import ConversionError
from export.formats import OPSET
from export.quiet import quiet
from pipelines import native_onnxruntime, native_pytorch, protocol
from pipelines.enums import Format
from pipelines.native_backends import Interface, NativeRefusalError, require_dims
from pipelines.spec import PipelineSpec

_IR = 10
"""Newest ONNX file format that ONNX Runtime 1.19 (Triton 24.10's) reads."""
_BATCHES = (2, 3)


def require_native_fit(spec: PipelineSpec, name: str, artefact: Path) -> None:
    """Checks that the native backends of the oldest Triton would load a member.

    Args:
        spec: facts that have the member.
        name: the member.
        artefact: its ONNX or TorchScript file.

    Raises:
        ConversionError: they would refuse it, or not find all of it in this file.
    """
    model = protocol.member_model(spec.name, name)
    config = triton_config.configs(spec)[model]
    said = json_format.MessageToDict(config, preserving_proto_field_name=True)
    try:
        interface = Interface.of_config(model, said)
        if spec.members[name].format is Format.ONNX:
            _require_version(artefact)
            _require_onnx(interface, artefact)
        else:
            _require_torchscript(interface, artefact)
    except NativeRefusalError as error:
        raise ConversionError(
            f"{name}: Triton would refuse the artefact with the config that {spec.name}.yaml "
            f"makes: {error}. Correct the YAML (`queries` is the number of boxes that a detector "
            "answers for each image, `features` how many numbers its features are) "
            "or give the checkpoint that it is about"
        ) from error


def _require_version(artefact: Path) -> None:
    model = onnx.load(artefact, load_external_data=False)
    if model.ir_version > _IR:
        raise NativeRefusalError(
            f"Unsupported model IR version: {model.ir_version}, max supported IR version: {_IR}"
        )
    # Quantisers import every domain that they know, used or not.
    newest = max(used.version for used in model.opset_import if used.domain in {"", "ai.onnx"})
    if newest > OPSET:
        raise NativeRefusalError(f"opset {newest} is newer than {OPSET}")
    if any(each.data_location == onnx.TensorProto.EXTERNAL for each in model.graph.initializer):
        # A release has the hash of one file.
        raise NativeRefusalError("weights lie in another file beside the model")


def _require_onnx(interface: Interface, artefact: Path) -> None:
    session = onnxruntime.InferenceSession(artefact, providers=["CPUExecutionProvider"])
    native_onnxruntime.require_fit(
        interface,
        native_onnxruntime.tensors_of(session.get_inputs()),
        native_onnxruntime.tensors_of(session.get_outputs()),
    )


def _require_torchscript(interface: Interface, artefact: Path) -> None:
    """Its dimensions are seen in passes alone: of the first one, those that differ are any."""
    with quiet():
        module = torch.jit.load(artefact)  # type: ignore[no-untyped-call]
    native_pytorch.require_fit(interface, native_pytorch.arguments_of(module))
    (pixels,) = interface.inputs
    shapes = []
    for batch in _BATCHES:
        example = torch.zeros((batch, *pixels.dims), dtype=torch.uint8)
        with torch.inference_mode():
            outputs = native_pytorch.outputs_of(interface, module(example))
        shapes.append([np.array(output.shape) for output in outputs])
    for output, one, other in zip(interface.outputs, *shapes, strict=True):
        dims = np.where(one == other, one, -1)
        require_dims(interface, output, tuple(map(int, dims)), exact=True)
