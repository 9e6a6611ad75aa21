"""Checkpoints made for the tests: real architectures, heads fitted so that answers vary."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from export import architectures
from pipelines.spec import PipelineSpec
from tests import plain_recipe

_LOGIT = 1.5
_SURE = 4.0
_OPPOSED_EVERY = 3


def make(spec: PipelineSpec, files: list[bytes], folder: Path) -> dict[str, Path]:
    """Writes `{"state_dict", "class_to_idx", "optimizer"}` for each member with its own weights.

    The bodies are random; each head is fitted on the given photos, so that predictions vary from
    photo to photo and the members of a binary pipeline oppose each other on every third.
    """
    pixels = np.stack([plain_recipe.pixels(file, spec) for file in files])
    shape = spec.preprocessing
    mean, std = torch.tensor(shape.mean), torch.tensor(shape.std)
    batch = ((torch.from_numpy(pixels).float() / 255 - mean) / std).permute(0, 3, 1, 2)
    paths = {}
    for number, name in enumerate(plain_recipe.own_weights(spec)):
        torch.manual_seed(number)
        member = spec.members[name]
        model = architectures.build(member.architecture, spec.logits(name)).eval()
        _fit_head(model, batch, _targets(spec, name, number, len(files)))
        paths[name] = folder / f"{name}.pt"
        torch.save(
            {
                "state_dict": model.state_dict(),
                "class_to_idx": {label: index for index, label in enumerate(spec.classes)},
                "optimizer": {"lr": 0.1},
            },
            paths[name],
        )
    return paths


def label(spec: PipelineSpec, index: int) -> int:
    """The class that the first member of a pipeline is fitted to see in a photo."""
    return index % len(spec.classes)


def _targets(spec: PipelineSpec, name: str, number: int, photos: int) -> torch.Tensor:
    """Logits to fit, [photos, logits]."""
    if len(spec.classes) > 2:
        wanted = torch.tensor([label(spec, index) for index in range(photos)])
        return nn.functional.one_hot(wanted, len(spec.classes)) * 2 * _SURE - _SURE
    signs = torch.tensor([1.0 if label(spec, index) else -1.0 for index in range(photos)])
    opposed = torch.tensor([index % _OPPOSED_EVERY == 0 for index in range(photos)])
    wanted = torch.where(opposed & (number % 2 == 1), -signs, signs) * _LOGIT
    if spec.logits(name) == 1:
        return wanted[:, None]
    return torch.stack([-wanted / 2, wanted / 2], dim=1)


def _fit_head(model: nn.Module, batch: torch.Tensor, targets: torch.Tensor) -> None:
    """Ridge regression of the last linear layer towards the targets."""
    head = [module for module in model.modules() if isinstance(module, nn.Linear)][-1]
    seen: list[torch.Tensor] = []
    hook = head.register_forward_hook(lambda _m, inputs, _o: seen.append(inputs[0]))
    with torch.inference_mode():
        for part in batch.split(10):
            model(part)
    hook.remove()
    features = torch.cat(seen).double()
    centre = features.mean(0)
    spread = features - centre
    gram = spread @ spread.T
    ridge = 0.02 * gram.diagonal().mean() * torch.eye(len(gram), dtype=torch.float64)
    directions = spread.T @ torch.linalg.solve(gram + ridge, targets.double())
    with torch.no_grad():
        head.weight.copy_(directions.T.float())
        head.bias.copy_(-(centre @ directions).float())
