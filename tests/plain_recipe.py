"""The plain recipe: what an answer must be, computed from the checkpoints without Triton."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps

from export import architectures
from pipelines.spec import PipelineSpec


def pixels(file: bytes, spec: PipelineSpec) -> np.ndarray:
    """Decoded and resized as training scripts do it with PIL, uint8 [H, W, 3]."""
    with Image.open(io.BytesIO(file)) as image:
        upright = ImageOps.exif_transpose(image).convert("RGB")
    shape = spec.preprocessing
    return np.asarray(upright.resize((shape.width, shape.height), Image.Resampling.BILINEAR))


def own_weights(spec: PipelineSpec) -> list[str]:
    """The members with a checkpoint of their own, which another form of one has not."""
    return [name for name in spec.members if spec.origin(name) == name]


def load_members(spec: PipelineSpec, checkpoints: dict[str, Path]) -> dict[str, torch.nn.Module]:
    members = {}
    for name, path in checkpoints.items():
        model = architectures.build(spec.members[name].architecture, spec.logits(name))
        model.load_state_dict(torch.load(path, weights_only=True)["state_dict"])
        members[name] = model.eval()
    return members


@dataclass(frozen=True)
class Opinion:
    """What the recipe says of one photo."""

    member_probabilities: dict[str, np.ndarray]
    probabilities: np.ndarray

    @property
    def disagreement(self) -> float:
        first, *others = self.member_probabilities.values()
        return max((float(0.5 * np.abs(first - other).sum()) for other in others), default=0.0)

    def opposed(self, threshold: float) -> bool:
        return len({bool(p[1] >= threshold) for p in self.member_probabilities.values()}) > 1


def features(file: bytes, spec: PipelineSpec, model: torch.nn.Module) -> np.ndarray:
    """What enters the last linear layer of a network, FP32 [D]."""
    head = [module for module in model.modules() if isinstance(module, torch.nn.Linear)][-1]
    seen: list[torch.Tensor] = []
    hook = head.register_forward_hook(lambda _m, inputs, _o: seen.append(inputs[0]))
    with torch.inference_mode():
        model(_batch(file, spec))
    hook.remove()
    return seen[0][0].numpy()


def opinion(file: bytes, spec: PipelineSpec, members: dict[str, torch.nn.Module]) -> Opinion:
    """Normalise, softmax or logistic function, weighted mean."""
    batch = _batch(file, spec)
    with torch.inference_mode():
        each = {
            name: probabilities_of(model(batch)[0].double().numpy())
            for name, model in members.items()
        }
    weights = {name: spec.members[name].weight for name in each}
    total = sum(weights.values())
    mixed = sum(weights[name] / total * each[name] for name in each)
    return Opinion(each, np.asarray(mixed))


def _batch(file: bytes, spec: PipelineSpec) -> torch.Tensor:
    shape = spec.preprocessing
    image = torch.from_numpy(pixels(file, spec).copy()).permute(2, 0, 1).float() / 255
    mean, std = torch.tensor(shape.mean), torch.tensor(shape.std)
    return ((image - mean[:, None, None]) / std[:, None, None])[None]


def probabilities_of(logits: np.ndarray) -> np.ndarray:
    """Softmax; of one logit, the logistic function for the second class."""
    if len(logits) == 1:
        positive = 1 / (1 + np.exp(-logits.astype(np.float64)))
        return np.concatenate([1 - positive, positive])
    powers = np.exp(logits.astype(np.float64) - logits.max())
    return np.asarray(powers / powers.sum())
