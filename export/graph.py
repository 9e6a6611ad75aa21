"""A member's graph as Triton serves it: pixels in, logits out, normalisation included."""

import torch
from torch import nn

from pipelines.preprocessing import Preprocessing


class Normalisation(nn.Module):
    """UINT8 pixels [N, H, W, 3], RGB, to normalised FP32 [N, 3, H, W].

    `(pixel / 255 - mean) / std`, written as one multiplication and one addition.
    """

    scale: torch.Tensor
    offset: torch.Tensor

    def __init__(self, preprocessing: Preprocessing) -> None:
        super().__init__()
        mean = torch.tensor(preprocessing.mean, dtype=torch.float64).view(1, 3, 1, 1)
        std = torch.tensor(preprocessing.std, dtype=torch.float64).view(1, 3, 1, 1)
        self.register_buffer("scale", (1 / (255 * std)).float())
        self.register_buffer("offset", (-mean / std).float())

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """What a model sees of an image."""
        return pixels.permute(0, 3, 1, 2).float() * self.scale + self.offset


class ServedMember(nn.Module):
    """Wraps a model of normalised NCHW floats into one of raw pixels.

    Input UINT8 [N, H, W, 3], RGB; output FP32 [N, K] logits.
    """

    def __init__(self, model: nn.Module, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.normalise = Normalisation(preprocessing)
        self.model = model

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Logits FP32 [N, K] of UINT8 pixels [N, H, W, 3]."""
        logits: torch.Tensor = self.model(self.normalise(pixels))
        return logits
