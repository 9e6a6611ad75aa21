"""Checkpoints made for the tests: real architectures, heads fitted so that members disagree."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from export import architectures
from pipelines.spec import PipelineSpec
from tests import plain_recipe

_LOGIT = 1.5
_OPPOSED_EVERY = 3


def make(spec: PipelineSpec, files: list[bytes], folder: Path) -> dict[str, Path]:
    """Writes one checkpoint a member, `{"state_dict", "class_to_idx", "optimizer"}`.

    The bodies are random; each head is fitted on the given photos, so that predictions vary from
    photo to photo and the members oppose each other on every third.
    """
    pixels = np.stack([plain_recipe.pixels(file, spec) for file in files])
    shape = spec.preprocessing
    mean, std = torch.tensor(shape.mean), torch.tensor(shape.std)
    batch = ((torch.from_numpy(pixels).float() / 255 - mean) / std).permute(0, 3, 1, 2)
    signs = torch.tensor([1.0 if index % 2 else -1.0 for index in range(len(files))])
    opposed = torch.tensor([index % _OPPOSED_EVERY == 0 for index in range(len(files))])
    paths = {}
    for number, (name, member) in enumerate(spec.members.items()):
        torch.manual_seed(number)
        model = architectures.build(member.architecture, len(spec.classes)).eval()
        targets = torch.where(opposed & (number % 2 == 1), -signs, signs) * _LOGIT
        _fit_head(model, batch, targets)
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


def _fit_head(model: nn.Module, batch: torch.Tensor, targets: torch.Tensor) -> None:
    """Ridge regression of the last linear layer: logit difference towards the targets."""
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
    direction = spread.T @ torch.linalg.solve(gram + ridge, targets.double())
    with torch.no_grad():
        head.weight.copy_(torch.stack([-direction / 2, direction / 2]).float())
        offset = -(centre @ direction) / 2
        head.bias.copy_(torch.stack([-offset, offset]).float())
