"""Checks the tensors of a state dict one by one: types, and numbers that no training gives."""

from collections.abc import Mapping

import torch

_FULL = torch.float32
_CONVERTED = {torch.float16, torch.bfloat16, torch.float64}
_LARGEST = 1e8
"""Of a weight or statistic of a network that works, with room: a flipped bit of an exponent gives
far larger ones."""
_VARIANCE = ".running_var"
_FP32 = "save it in FP32: model.float().state_dict()"


class WeightError(ValueError):
    """A tensor that cannot be served."""


def checked(
    tensors: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]
) -> tuple[dict[str, torch.Tensor], list[str]]:
    """Tensors in the types of a network, and notes on what was converted.

    Args:
        tensors: of a checkpoint, with the keys and shapes of the network.
        expected: the network's own.

    Raises:
        WeightError: a tensor is of a type that is not converted, without values, or holds numbers
            that no training gives. The message begins with its key.
    """
    fine = {}
    converted: dict[torch.dtype, int] = {}
    for key, tensor in tensors.items():
        if not expected[key].is_floating_point():
            if tensor.dtype != expected[key].dtype:
                raise WeightError(f"{key} is {_named(tensor.dtype)}, not integers: save it again")
            fine[key] = tensor
            continue
        _require_type(key, tensor)
        if tensor.dtype != _FULL:
            converted[tensor.dtype] = converted.get(tensor.dtype, 0) + 1
        fine[key] = tensor.to(_FULL)
        _require_sound(key, fine[key])
    head = [key for key, tensor in expected.items() if tensor.ndim > 1][-1]
    if not bool(fine[head].any()):
        raise WeightError(
            f"{head} is all zeros, so that no answer would depend on the image: the layer was not "
            "trained, or not saved"
        )
    notes = [
        f"{count} tensors are {_named(dtype)} and were converted to float32"
        for dtype, count in converted.items()
    ]
    return fine, notes


def _require_type(key: str, tensor: torch.Tensor) -> None:
    kind = _named(tensor.dtype)
    if tensor.is_meta:
        raise WeightError(
            f"{key} is a meta tensor, which has a shape but no numbers: load the weights before "
            "saving model.state_dict()"
        )
    if tensor.is_quantized:
        raise WeightError(
            f"{key} is quantised ({kind}): give the FP32 checkpoint that it was made from; the "
            "export makes INT8 members itself"
        )
    if tensor.layout != torch.strided:
        raise WeightError(f"{key} is a sparse tensor: save it dense, by tensor.to_dense()")
    if tensor.is_complex():
        raise WeightError(f"{key} holds complex numbers ({kind}): {_FP32}")
    if not tensor.is_floating_point():
        raise WeightError(f"{key} holds {kind} where the network has float32: {_FP32}")
    if tensor.dtype != _FULL and tensor.dtype not in _CONVERTED:
        raise WeightError(f"{key} is {kind}, which is too coarse for weights: {_FP32}")


def _require_sound(key: str, tensor: torch.Tensor) -> None:
    if not bool(torch.isfinite(tensor).all()):
        raise WeightError(f"{key} holds NaN or infinity: train it again")
    if tensor.numel() and float(tensor.abs().max()) > _LARGEST:
        raise WeightError(
            f"{key} holds {float(tensor.abs().max()):.0e}, which no training gives: the file is "
            "damaged; copy it again"
        )
    if key.endswith(_VARIANCE) and bool((tensor < 0).any()):
        raise WeightError(f"{key} holds a negative variance: the file is damaged; copy it again")


def _named(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
