"""What Triton's native ONNX Runtime backend refuses, in its words (`native_backends`)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from pipelines.native_backends import (
    ANY,
    INVALID,
    Interface,
    NativeRefusalError,
    Tensor,
    flag,
    require_count,
    require_dims,
    require_type,
    whole_number,
)

_ONNX_TYPES = {
    "bool": "TYPE_BOOL",
    "uint8": "TYPE_UINT8",
    "uint16": "TYPE_UINT16",
    "uint32": "TYPE_UINT32",
    "uint64": "TYPE_UINT64",
    "int8": "TYPE_INT8",
    "int16": "TYPE_INT16",
    "int32": "TYPE_INT32",
    "int64": "TYPE_INT64",
    "float16": "TYPE_FP16",
    "float": "TYPE_FP32",
    "double": "TYPE_FP64",
    "string": "TYPE_STRING",
}
"""Triton's names of the types of tensors, by those of ONNX Runtime."""
DATA_TYPES = frozenset(_ONNX_TYPES.values())
"""Of a config's tensors."""
_NO_TENSORS = (
    ("seq(", "ONNX_TYPE_SEQUENCE"),
    ("map(", "ONNX_TYPE_MAP"),
    ("sparse_tensor(", "ONNX_TYPE_SPARSETENSOR"),
)


class OnnxValue(Protocol):
    """An input or output of an ONNX Runtime session."""

    name: str
    type: str
    shape: Sequence[Any]


def tensors_of(values: Iterable[OnnxValue]) -> tuple[Tensor, ...]:
    """The inputs or outputs of an ONNX Runtime session.

    Raises:
        NativeRefusalError: one is no tensor.
    """
    return tuple(
        Tensor(
            value.name,
            _ONNX_TYPES.get(_tensor_type(value), INVALID),
            tuple(dim if isinstance(dim, int) and dim >= 0 else ANY for dim in value.shape),
        )
        for value in values
    )


def require_fit(config: Interface, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> None:
    """Compares a config with what ONNX Runtime infers from the artefact.

    An input of the config may be of a fixed size where the artefact takes any; an output has
    exactly the artefact's dimensions. Outputs that the config does not name are left alone.

    Raises:
        NativeRefusalError: they differ.
    """
    require_count(config, len(inputs))
    for one, given, put, exact in (
        *((each, inputs, "input", False) for each in config.inputs),
        *((each, outputs, "output", True) for each in config.outputs),
    ):
        found = next((tensor for tensor in given if tensor.name == one.name), None)
        if found is None:
            allowed = ", ".join(sorted(tensor.name for tensor in given))
            raise NativeRefusalError(
                f"unexpected inference {put} '{one.name}', allowed {put}s are: {allowed}"
            )
        require_type(config, one, put, DATA_TYPES)
        if one.data_type != found.data_type:
            raise NativeRefusalError(
                f"unable to load model '{config.model}', configuration expects datatype "
                f"{one.data_type} for {put} '{one.name}', model provides {found.data_type}"
            )
        require_dims(config, one, found.dims, exact=exact)


def require_parameters(parameters: Mapping[str, str]) -> None:
    """Checks the values of the parameters that it has; it ignores others.

    Raises:
        NativeRefusalError: one is none of those that it takes.
    """
    for name in ("enable_mem_arena", "enable_mem_pattern", "share_session_between_instances"):
        flag(parameters, name)
    for name in ("intra_op_thread_count", "inter_op_thread_count"):
        whole_number(parameters, name)
    if (mode := whole_number(parameters, "execution_mode")) not in {0, 1}:
        raise NativeRefusalError(
            "Invalid configuration value provided. Expected values for  execution_mode are 0 or 1 "
            f"but got {mode} ."
        )
    # On a GPU only.
    if (search := whole_number(parameters, "cudnn_conv_algo_search")) not in {0, 1, 2}:
        raise NativeRefusalError(
            f"unsupported cudnn_conv_algo_search value '{search}' is requested"
        )


def _tensor_type(value: OnnxValue) -> str:
    if value.type.startswith("tensor("):
        return value.type.removeprefix("tensor(").removesuffix(")")
    kind = next(
        (name for start, name in _NO_TENSORS if value.type.startswith(start)),
        "ONNX_TYPE_UNKNOWN",
    )
    raise NativeRefusalError(
        f"Unsupported ONNX Type '{kind}' for I/O '{value.name}', expected 'ONNX_TYPE_TENSOR'."
    )
