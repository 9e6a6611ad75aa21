"""Makes an INT8 or FP16 artefact from an FP32 one.

Weights are signed, because ONNX Runtime multiplies unsigned activations by unsigned weights several
times slower. A CPU without VNNI adds such products in 16 bits, which eight bits each would
overflow, and what passed the gate here has to hold where it is served: weights use seven of their
eight bits (`reduce_range`).
https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html
Why convolutions are not quantised dynamically, and what else was tried: docs/decisions/0007.
"""

import tempfile
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process
from onnxruntime.transformers.float16 import convert_float_to_float16

from export.errors import ConversionError
from export.quiet import quiet
from pipelines import protocol
from pipelines.enums import Method

# Pools pass INT8 on, and a Relu becomes the lower end of a range: convolutions follow each other
# without a detour through FP32. All else stays there: what adds or multiplies is slower in INT8.
_STATIC_OPERATORS = ["Conv", "MatMul", "Gemm", "MaxPool", "Relu"]
_DYNAMIC_OPERATORS = ["MatMul", "Gemm"]
# Rare extremes would make the steps between the other values too coarse.
_PERCENTILE = 99.999
# Calibration keeps the activations of so many images in memory at a time.
_STRIDE = 8


class _Images(CalibrationDataReader):  # type: ignore[misc]
    """Hands calibration one image after another, `_STRIDE` of them at a time."""

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        # The quantiser demands whole strides; a folder of fewer images is one of its own.
        self._pixels = pixels[: len(pixels) - len(pixels) % self.stride_of(pixels)]
        self.set_range(0, len(self._pixels))

    @staticmethod
    def stride_of(pixels: NDArray[np.uint8]) -> int:
        return min(_STRIDE, len(pixels))

    def __len__(self) -> int:
        return len(self._pixels)

    def set_range(self, start_index: int, end_index: int) -> None:
        self._left = iter(self._pixels[start_index:end_index])

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        image = next(self._left, None)
        return None if image is None else {protocol.MEMBER_INPUT: image[None]}


def quantise(
    source: Path, target: Path, method: Method, calibration: NDArray[np.uint8] | None = None
) -> None:
    """Writes an artefact of fewer bits; it takes pixels and gives FP32 logits as before.

    Args:
        source: the FP32 artefact, ONNX.
        target: the file to write; absent after an error.
        method: static or dynamic INT8, or FP16.
        calibration: UINT8 [N, H, W, 3], from which static quantisation takes the ranges of
            activations.

    Raises:
        ConversionError: the quantiser failed, found nothing to quantise, or fixed the batch.
    """
    try:
        with quiet(), tempfile.TemporaryDirectory(dir=target.parent) as folder:
            plain = Path(folder, "plain.onnx")
            _copy_without_shapes(source, plain)
            if method is Method.FP16:
                _half(plain, target)
            elif method is Method.DYNAMIC:
                _dynamic(plain, target)
            else:
                _static(plain, target, calibration)
        _check(target, method)
    except ConversionError:
        target.unlink(missing_ok=True)
        raise
    except Exception as error:  # the quantiser raises whatever its graph passes raise
        target.unlink(missing_ok=True)
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ConversionError(f"{source.name} cannot be quantised: {reason}") from error


def _static(plain: Path, target: Path, calibration: NDArray[np.uint8] | None) -> None:
    if calibration is None or not len(calibration):
        raise ConversionError("static quantisation needs calibration images")
    # Folds constants and batch normalisations, and notes the shapes that QDQ needs.
    prepared = plain.with_name("prepared.onnx")
    quant_pre_process(plain, prepared, skip_symbolic_shape=True)
    quantize_static(
        prepared,
        target,
        _Images(calibration),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=_STATIC_OPERATORS,
        nodes_to_exclude=_kept_convolutions(prepared),
        per_channel=True,
        reduce_range=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=CalibrationMethod.Percentile,
        calibration_providers=["CPUExecutionProvider"],
        extra_options={
            "CalibPercentile": _PERCENTILE,
            "CalibStridedMinMax": _Images.stride_of(calibration),
        },
    )


def _dynamic(plain: Path, target: Path) -> None:
    quantize_dynamic(
        plain,
        target,
        op_types_to_quantize=_DYNAMIC_OPERATORS,
        per_channel=True,
        reduce_range=True,
        weight_type=QuantType.QInt8,
    )


def _half(plain: Path, target: Path) -> None:
    """Shapes inside the graph stay unknown: what the converter infers fixes the batch."""
    halved = convert_float_to_float16(
        onnx.load(plain), keep_io_types=True, disable_shape_infer=True
    )
    onnx.save(halved, target)


def _copy_without_shapes(source: Path, target: Path) -> None:
    """The exporter's own shapes contradict those that the quantiser infers.

    A file, because the quantiser copies a model in memory once more.
    """
    model = onnx.load(source)
    del model.graph.value_info[:]
    onnx.save(model, target)


def _kept_convolutions(path: Path) -> list[str]:
    """Names of the convolutions that stay in FP32: few weights, much lost, nothing gained.

    Depthwise ones are slower in INT8. So is a first one that sees the pixels with a stride: it
    draws the normalisation before it into a layout of channels last, where three channels are
    slow. Without a stride what it writes is large, and four times as large in FP32.
    """
    graph = onnx.load(path).graph
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    # Of a weight [out, in / groups, height, width]: a depthwise one has one channel in.
    channels_in = {item.name: item.dims[1] for item in graph.initializer if len(item.dims) == 4}  # noqa: PLR2004
    depthwise = [node for node in convolutions if channels_in.get(node.input[1]) == 1]
    strided = [node for node in convolutions[:1] if _stride(node) > 1]
    return [node.name for node in [*strided, *depthwise]]


def _stride(convolution: onnx.NodeProto) -> int:
    strides = [attribute.ints for attribute in convolution.attribute if attribute.name == "strides"]
    return max(strides[0], default=1) if strides else 1


def _check(path: Path, method: Method) -> None:
    graph = onnx.load(path).graph
    operators = {node.op_type for node in graph.node}
    halves = any(item.data_type == onnx.TensorProto.FLOAT16 for item in graph.initializer)
    quantised = bool(operators & {"QuantizeLinear", "DynamicQuantizeLinear"})
    if not (halves if method is Method.FP16 else quantised):
        raise ConversionError(
            "there is nothing in it to quantise: drop the member, or choose another method"
        )
    batch = graph.input[0].type.tensor_type.shape.dim[0]
    if not batch.dim_param:
        raise ConversionError(f"the quantiser fixed the batch to {batch.dim_value}")
