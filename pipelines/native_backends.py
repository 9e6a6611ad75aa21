"""What both of Triton's native backends refuse of a config and its artefact.

Each one's own rules: `native_onnxruntime`, `native_pytorch`.

The embedded Triton has stand-ins for them (`server/backends`), which refuse the same in the same
words, and the export publishes nothing that they refuse. Where each rule is written:
tests/contract/config_keys.yaml. Standard library only, as backend processes import it.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

ANY = -1
"""A dimension of any size."""
INVALID = "TYPE_<invalid>"
"""Of an artefact's tensor whose type Triton has no name for."""


class NativeRefusalError(ValueError):
    """A config or an artefact that a native backend refuses, mostly in its own words."""


@dataclass(frozen=True)
class Tensor:
    """An input or output."""

    name: str
    data_type: str
    """Of Triton's config: TYPE_FP32, for example."""
    dims: tuple[int, ...]
    """-1 for any size. Of a config without the batch, of an artefact with it."""


@dataclass(frozen=True)
class Interface:
    """The inputs and outputs of a config."""

    model: str
    batched: bool
    """Whether Triton puts a batch dimension before the dims: max_batch_size is above 0."""
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    @classmethod
    def of_config(cls, model: str, config: Mapping[str, Any]) -> Self:
        """Of a config in Triton's JSON, its keys as in the file.

        Raises:
            NativeRefusalError: an input is optional, which PyTorch's backend never takes and ONNX
                Runtime's not in batches, or has what neither stand-in does.
        """
        inputs, outputs = config.get("input", ()), config.get("output", ())
        for item in inputs:
            if item.get("optional"):
                raise NativeRefusalError(
                    f"'optional' is set to true for input '{item['name']}' while the backend "
                    "model doesn't support optional input"
                )
        for item in (*inputs, *outputs):
            if said := [key for key in ("reshape", "allow_ragged_batch") if item.get(key)]:
                raise NativeRefusalError(
                    f"unable to load model '{model}', tensor '{item['name']}': {said[0]} is not "
                    "for this project's backends"
                )
        batched = int(config.get("max_batch_size", 0)) > 0
        return cls(model, batched, _tensors(inputs), _tensors(outputs))


def require_dims(
    config: Interface, tensor: Tensor, artefact: tuple[int, ...], *, exact: bool
) -> None:
    """Compares a tensor's dimensions in a config with the artefact's.

    Args:
        config: has the tensor.
        tensor: the config's.
        artefact: its dimensions there, with the batch.
        exact: whether a size may not stand where the artefact takes any.

    Raises:
        NativeRefusalError: they differ.
    """
    where = f"model '{config.model}', tensor '{tensor.name}': "
    if not artefact:
        # A scalar: Triton has none, and writes it as one number.
        if any(dim != 1 for dim in tensor.dims):
            raise NativeRefusalError(
                f"unable to load model '{config.model}', scalar tensor '{tensor.name}', should "
                "only provide 1 in the model configuration when the model doesn't support "
                f"batching. Model configuration provided: {_shape(tensor.dims)}."
            )
        return
    if config.batched and artefact[0] != ANY:
        raise NativeRefusalError(
            f"{where}for the model to support batching the shape should have at least 1 dimension "
            "and the first dimension must be -1; but shape expected by the model is "
            f"{_shape(artefact)}"
        )
    said = (ANY, *tensor.dims) if config.batched else tensor.dims
    if len(said) == len(artefact) and all(
        one == other or (other == ANY and not exact)
        for one, other in zip(said, artefact, strict=True)
    ):
        return
    batch = (
        "an initial batch dimension because max_batch_size > 0 followed by the explicit tensor "
        "shape, making complete "
        if config.batched
        else ""
    )
    raise NativeRefusalError(
        f"{where}the model expects {len(artefact)} dimensions (shape {_shape(artefact)}) but the "
        f"model configuration specifies {len(said)} dimensions ({batch}shape {_shape(said)})"
    )


def require_count(config: Interface, provided: int) -> None:
    """Checks how many inputs an artefact has.

    Raises:
        NativeRefusalError: not as many as the config names.
    """
    if len(config.inputs) != provided:
        raise NativeRefusalError(
            f"unable to load model '{config.model}', configuration expects {len(config.inputs)} "
            f"inputs, model provides {provided}"
        )


def require_type(config: Interface, tensor: Tensor, put: str, known: Collection[str]) -> None:
    """Checks that a backend has the data type that a config says of an `input` or `output`.

    Raises:
        NativeRefusalError: it is none of the known ones.
    """
    if tensor.data_type not in known:
        raise NativeRefusalError(
            f"unsupported datatype {tensor.data_type} for {put} '{tensor.name}' for model "
            f"'{config.model}'"
        )


def whole_number(parameters: Mapping[str, str], name: str) -> int:
    """A parameter that is a whole number; 0 where it is not given.

    Raises:
        NativeRefusalError: it is none.
    """
    text = parameters.get(name, "0")
    if not re.fullmatch(r"\s*[+-]?[0-9]{1,9}", text):
        raise NativeRefusalError(f"failed to convert '{text}' to integral number")
    return int(text)


def flag(parameters: Mapping[str, str], name: str) -> bool:
    """A parameter that is true or false; False where it is not given.

    Raises:
        NativeRefusalError: it is neither.
    """
    text = parameters.get(name, "false")
    if text.lower() not in {"true", "on", "1", "false", "off", "0"}:
        raise NativeRefusalError(f"failed to convert '{text}' to boolean")
    return text.lower() in {"true", "on", "1"}


def _tensors(items: Iterable[Mapping[str, Any]]) -> tuple[Tensor, ...]:
    # Protobuf's JSON has whole numbers as text.
    return tuple(
        Tensor(item["name"], item["data_type"], tuple(map(int, item["dims"]))) for item in items
    )


def _shape(dims: Sequence[int]) -> str:
    return f"[{','.join(map(str, dims))}]"
