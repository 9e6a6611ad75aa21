"""A pipeline with a member small enough to export in a moment."""

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import nn

from export import architectures
from pipelines.load import load_spec
from tests.facts import by_default

CLASSES = ("healthy", "cancer")
FEATURES = 4
"""What the last layer of `Tiny` takes."""


class Tiny(nn.Module):
    """Two convolutions and a linear layer."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 4, 3, stride=4), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1)
        )
        self.head = nn.Linear(FEATURES, classes)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(image).flatten(1))


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setitem(architectures.ARCHITECTURES, "tiny", Tiny)
    torch.manual_seed(0)
    return Tiny(len(CLASSES)).eval()


@pytest.fixture
def facts():
    """The shipped facts of oral_cancer with tiny members."""
    return tiny_members(by_default("oral_cancer"))


def tiny_members(facts: dict[str, Any]) -> dict[str, Any]:
    """A pipeline's facts with tiny networks and tiny images."""
    for member in facts["members"].values():
        if "architecture" in member:
            member["architecture"] = "tiny"
        if "features" in member:
            member["features"] = FEATURES
    facts["preprocessing"] |= {"height": 32, "width": 48}
    return facts


@pytest.fixture
def specs(tmp_path, facts) -> Path:
    folder = tmp_path / "specs"
    folder.mkdir()
    (folder / "oral_cancer.yaml").write_text(yaml.safe_dump(facts, sort_keys=False), "utf-8")
    return folder


@pytest.fixture
def spec(specs, tiny):
    return load_spec("oral_cancer", specs)
