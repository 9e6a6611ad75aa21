"""A drawing has the same typicality by each runtime that serves the demo's network."""

import numpy as np
import pytest
import torch

from demo.expansion import narrow
from demo.figures import CHECKPOINTS
from demo.reference import photo
from export import formats, photos
from export.graph import features_of, with_features
from inference.decode import decode
from inference.typicality import Reference
from pipelines.enums import Format
from pipelines.load import load_definition
from pipelines.protocol import MEMBER_FEATURES, MEMBER_INPUT, MEMBER_OUTPUT
from server.backends.openvino_engine import OpenVinoEngine

PIPELINE, MEMBER = "oral_cancer", "regnet"
DRAWINGS = 24
# As `lab.typicality` has it: no reference and no training was made of them.
HELD_OUT = 2**52
OUTPUTS = (MEMBER_OUTPUT, MEMBER_FEATURES)


@pytest.fixture(scope="module")
def whole():
    return load_definition(PIPELINE)


@pytest.fixture(scope="module")
def drawings(whole):
    rules = photos.decode_rules(whole)
    return [decode(photo(whole, HELD_OUT + number), rules) for number in range(DRAWINGS)]


@pytest.fixture(scope="module")
def runtimes(whole, tmp_path_factory):
    """By name: from pixels [1, H, W, 3] to features [1, D]."""
    network, folder = narrow(whole, MEMBER), tmp_path_factory.mktemp("runtimes")
    onnx, script = (folder / each.filename for each in (Format.ONNX, Format.TORCHSCRIPT))
    height, width = whole.preprocessing.size
    with with_features(network, whole.members[MEMBER].features) as served:
        formats.write(served, height, width, Format.ONNX, onnx, outputs=OUTPUTS)
        formats.write(served, height, width, Format.TORCHSCRIPT, script, outputs=OUTPUTS)
    openvino = OpenVinoEngine(onnx, 1)

    def by_torch(pixels):
        with torch.inference_mode():
            return features_of(network, torch.from_numpy(pixels)).numpy()

    return {
        "torch": by_torch,
        "TorchScript": formats.open_features(script, Format.TORCHSCRIPT),
        "ONNX Runtime": formats.open_features(onnx, Format.ONNX),
        "OpenVINO": lambda pixels: openvino.run([MEMBER_FEATURES], {MEMBER_INPUT: pixels})[0],
    }


def test_every_runtime_gives_the_same_typicality(drawings, runtimes):
    reference = Reference.load(CHECKPOINTS / PIPELINE / "typicality_fp32.npz")
    pictures = np.stack([each.picture for each in drawings])
    found = {
        name: reference.typicality(
            pictures, np.concatenate([run(each.pixels[None]) for each in drawings])
        )
        for name, run in runtimes.items()
    }

    assert np.ptp(found["torch"]) > 0.5
    for name, typicality in found.items():
        assert typicality == pytest.approx(found["torch"], abs=1e-3), name
