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


def load_members(spec: PipelineSpec, checkpoints: dict[str, Path]) -> dict[str, torch.nn.Module]:
    members = {}
    for name, path in checkpoints.items():
        model = architectures.build(spec.members[name].architecture, len(spec.classes))
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
        return max(float(0.5 * np.abs(first - other).sum()) for other in others)

    def opposed(self, threshold: float) -> bool:
        return len({bool(p[1] >= threshold) for p in self.member_probabilities.values()}) > 1


def opinion(file: bytes, spec: PipelineSpec, members: dict[str, torch.nn.Module]) -> Opinion:
    """Normalise, softmax, weighted mean."""
    shape = spec.preprocessing
    image = torch.from_numpy(pixels(file, spec).copy()).permute(2, 0, 1).float() / 255
    mean, std = torch.tensor(shape.mean), torch.tensor(shape.std)
    batch = ((image - mean[:, None, None]) / std[:, None, None])[None]
    with torch.inference_mode():
        each = {
            name: torch.softmax(model(batch)[0].double(), 0).numpy()
            for name, model in members.items()
        }
    weights = {name: spec.members[name].weight for name in each}
    total = sum(weights.values())
    mixed = sum(weights[name] / total * each[name] for name in each)
    return Opinion(each, np.asarray(mixed))
