"""Writes a trained model's weights as safetensors, with large matrices rounded to FP16."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn


def round_weights(model: nn.Module) -> None:
    """Rounds to FP16 in place whatever `write` stores so; what is measured is then what is stored.

    Biases, normalisations and their statistics are vectors; they stay FP32, as they weigh little
    and a small variance has no FP16.
    """
    with torch.no_grad():
        for value in filter(_is_rounded, model.state_dict().values()):
            value.copy_(value.half())


def write(model: nn.Module, path: Path, classes: tuple[str, ...]) -> None:
    """Writes a state dict that calls its weights `demo` and names its classes in order.

    Args:
        model: rounded by `round_weights`.
        path: the safetensors file.
        classes: of the logits; `export.checkpoint` compares them with the pipeline's.
    """
    state = {
        key: (value.half() if _is_rounded(value) else value).contiguous()
        for key, value in model.state_dict().items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(state, path, metadata={"weights": "demo", "classes": json.dumps(classes)})


def _is_rounded(value: torch.Tensor) -> bool:
    return value.is_floating_point() and value.ndim > 1
