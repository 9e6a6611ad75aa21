"""What Triton's native PyTorch backend refuses of TorchScript, in its words (`native_backends`).

It compares no dimensions: it passes on what `forward` answers.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from pipelines.native_backends import (
    INVALID,
    Interface,
    NativeRefusalError,
    Tensor,
    flag,
    require_count,
    require_type,
    whole_number,
)

TorchModule: TypeAlias = Any
TorchTensor: TypeAlias = Any
"""Of torch, which is not imported here."""
_TORCH_TYPES = {
    "torch.bool": "TYPE_BOOL",
    "torch.uint8": "TYPE_UINT8",
    "torch.int8": "TYPE_INT8",
    "torch.int16": "TYPE_INT16",
    "torch.int32": "TYPE_INT32",
    "torch.int64": "TYPE_INT64",
    "torch.float16": "TYPE_FP16",
    "torch.float32": "TYPE_FP32",
    "torch.float64": "TYPE_FP64",
}
DATA_TYPES = frozenset(_TORCH_TYPES.values())
"""Of a config's tensors."""
_FLAGS = (
    "DISABLE_OPTIMIZED_EXECUTION",
    "DISABLE_CUDNN",
    "ENABLE_CACHE_CLEANING",
    "ENABLE_WEIGHT_SHARING",
    "INFERENCE_MODE",
)


def require_fit(config: Interface, arguments: Sequence[tuple[str, str]]) -> list[str]:
    """Compares a config with the arguments of `forward`; outputs are known after a pass only.

    Args:
        config: the model's.
        arguments: `arguments_of`.

    Returns:
        The names of the config's inputs, in the order of the arguments.

    Raises:
        NativeRefusalError: they differ.
    """
    for _, kind in arguments:
        if kind != "Tensor":
            raise NativeRefusalError(
                f"An input of type '{kind}' was detected in the model. Only a single input of "
                "type Dict(str, Tensor) or input(s) of type Tensor are supported."
            )
    require_count(config, len(arguments))
    for tensors, put in ((config.inputs, "input"), (config.outputs, "output")):
        if not tensors:
            raise NativeRefusalError(
                f"model configuration must contain at least one {put}, none were specified."
            )
        for tensor in tensors:
            require_type(config, tensor, put, DATA_TYPES)
    places = _positions([tensor.name for tensor in config.inputs], [name for name, _ in arguments])
    if sorted(places.values()) != list(range(len(arguments))):
        # The native backend would write beyond its list of arguments, or leave one out.
        raise NativeRefusalError(
            f"unable to load model '{config.model}', its inputs are arguments "
            f"{sorted(places.values())} of {len(arguments)}: number them from 0"
        )
    return sorted(places, key=places.__getitem__)


def arguments_of(module: TorchModule) -> list[tuple[str, str]]:
    """Name and type of each argument of a TorchScript module's `forward`, without `self`.

    Raises:
        NativeRefusalError: the module was saved in training mode. The native backend runs it so,
            and its answers would be random.
    """
    if any(getattr(each, "training", False) for each in module.modules()):
        raise NativeRefusalError("the module is in training mode: call eval() before it is saved")
    arguments = module._c._get_method("forward").schema.arguments
    return [(each.name, each.type.str()) for each in arguments[1:]]


def outputs_of(config: Interface, answer: object) -> list[TorchTensor]:
    """The outputs that a config names, in its order, out of what `forward` answered.

    Raises:
        NativeRefusalError: one is not there, or is none of the type that the config says.
    """
    tensors = answer if isinstance(answer, tuple) else (answer,)
    if not all(hasattr(tensor, "dtype") for tensor in tensors):
        raise NativeRefusalError(
            "output must be of type Tensor, List[str] or Tuple containing one of these two types. "
            "It should not be a List / Dictionary of Tensors or a Scalar"
        )
    places = _positions([tensor.name for tensor in config.outputs], [])
    return [_output(tensor, places[tensor.name], tensors) for tensor in config.outputs]


def _output(said: Tensor, place: int, tensors: Sequence[TorchTensor]) -> TorchTensor:
    if place >= len(tensors):
        raise NativeRefusalError(
            f"The output {said.name} in the model configuration refers to an output index which "
            f"doesn't exist. This model has {len(tensors)} outputs"
        )
    found = _TORCH_TYPES.get(str(tensors[place].dtype), INVALID)
    if found != said.data_type:
        raise NativeRefusalError(
            f"configuration expects datatype {said.data_type} for output '{said.name}', model "
            f"provides {found}"
        )
    if not tensors[place].ndim:
        raise NativeRefusalError(f"output '{said.name}' is a scalar which is not supported.")
    return tensors[place]


def require_parameters(parameters: Mapping[str, str]) -> None:
    """Checks the values of the parameters that it has; it ignores others.

    Raises:
        NativeRefusalError: one is none of those that it takes.
    """
    for name in _FLAGS:
        flag(parameters, name)
    for name in ("INTRA_OP_THREAD_COUNT", "INTER_OP_THREAD_COUNT"):
        whole_number(parameters, name)


def _positions(names: Sequence[str], arguments: Sequence[str]) -> dict[str, int]:
    """By the arguments' names, else by NAME__INDEX, else in the config's order."""
    if arguments and set(names) <= set(arguments):
        return {name: arguments.index(name) for name in names}
    indices = [name.partition("__")[2] for name in names]
    if all(re.fullmatch("[0-9]+", index) for index in indices):
        return {name: int(index) for name, index in zip(names, indices, strict=True)}
    return {name: index for index, name in enumerate(names)}
