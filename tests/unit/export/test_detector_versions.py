"""Exporting a detector: its own parity gate, at any size of image."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from export import detector, versions
from export.checkpoint import Loaded
from export.detector import Detector
from export.errors import ParityError
from export.quiet import quiet
from export.read_options import Weights
from export.repository import ModelRepository
from pipelines.load import load_spec
from pipelines.manifest import ClassOrder, Manifest, OrderKnownFrom
from pipelines.protocol import MEMBER_INPUT, DetectorOutput

LOADED = Loaded(Weights.RAW, "", ())
SPEC = load_spec("cervical_lesions")
FEATURES = SPEC.members["mask_rcnn"].features
ORDER = ClassOrder(known_from=OrderKnownFrom.USER, place=None, trained=SPEC.classes)


class Corner(nn.Module):
    """Finds one thing in the corner, the brighter the image the surer."""

    def __init__(self, shift: float = 0.0, brightness: float = 1.0) -> None:
        super().__init__()
        self.register_buffer("box", torch.tensor([[0.0, 0.0, 9.0, 9.0]]) + shift)
        self.brightness = brightness

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        score = (pixels.float().mean() / 255 * self.brightness).reshape(1)
        mask = score.reshape(1, 1, 1).expand(1, *pixels.shape[:2])
        outputs = (self.box + 0 * score, score, (score * 0).long(), mask)
        # As many as it finds: always one, but no graph can know.
        found = score >= 0
        features = (pixels.float().mean(dim=(0, 1)) / 255).repeat(FEATURES)[:FEATURES]
        return (*(output[found] for output in outputs), features)


def corner(written: nn.Module) -> Detector:
    """A detector whose artefact is written from another module than it is compared with."""

    def write(path: Path) -> int:
        with quiet():
            torch.onnx.export(
                written,
                (torch.zeros((20, 30, 3), dtype=torch.uint8),),
                path,
                dynamo=False,
                opset_version=17,
                input_names=[MEMBER_INPUT],
                output_names=list(DetectorOutput),
                dynamic_axes={MEMBER_INPUT: {0: "height", 1: "width"}},
            )
        return 17

    return Detector(
        module=Corner().eval(),
        sha256="ab" * 32,
        weights="demo",
        loaded=LOADED,
        order=ORDER,
        write=write,
    )


@pytest.fixture
def opened(monkeypatch):
    """Makes `mask_rcnn` a stub; returns what it was opened with."""
    seen = []

    def become(written: nn.Module) -> list[Path]:
        def open_stub(path, spec, _options):
            seen.append((path, spec.name))
            return corner(written.eval())

        monkeypatch.setitem(detector.DETECTORS, "mask_rcnn", open_stub)
        return seen

    return become


def test_a_detector_is_published_with_both_of_its_differences(opened, tmp_path):
    seen = opened(Corner())
    repository = ModelRepository(tmp_path / "model_repository")
    steps = []
    (exported,) = versions.export(SPEC, {"mask_rcnn": tmp_path}, repository, on_step=steps.append)
    assert seen == [(tmp_path, "cervical_lesions")]
    manifest = Manifest.read(exported.folder)
    manifest.verify(exported.folder)
    assert manifest.parity_error <= SPEC.parity.tolerance
    assert manifest.parity_boxes == 0
    assert manifest.checkpoint_sha256 == "ab" * 32
    assert manifest.weights == "demo"
    assert manifest.opset == 17
    assert manifest.cpu_ms > 0
    assert steps


@pytest.mark.parametrize("wrong", [Corner(shift=0.5), Corner(brightness=0.9)])
def test_an_artefact_that_finds_something_else_publishes_nothing(opened, tmp_path, wrong):
    opened(wrong)
    repository = ModelRepository(tmp_path / "model_repository")
    with pytest.raises(ParityError, match=r"mask_rcnn.*parity\.boxes"):
        versions.export(SPEC, {"mask_rcnn": tmp_path}, repository)
    assert [path for path in repository.root.rglob("*") if path.is_file()] == []


def test_photos_keep_their_sizes_where_the_graph_resizes(opened, tmp_path, monkeypatch):
    opened(Corner())
    shapes = []
    original = detector.parity

    def watched(opened, artefact, compared, spec):
        shapes.extend(photo.shape for photo in compared)
        return original(opened, artefact, compared, spec)

    monkeypatch.setattr(detector, "parity", watched)
    versions.export(SPEC, {"mask_rcnn": tmp_path}, ModelRepository(tmp_path / "models"))
    assert len(set(shapes)) >= 3
    assert np.all([shape[2] == 3 for shape in shapes])
