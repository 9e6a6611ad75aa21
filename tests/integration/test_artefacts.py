"""Exported artefacts load where they will be served: ONNX Runtime 1.19, and both formats work."""

import subprocess
import sys

import numpy as np
import pytest
import yaml

from export import formats
from export.repository import ModelRepository
from export.versions import export
from pipelines.load import load_spec
from pipelines.protocol import MEMBER_INPUT, MEMBER_OUTPUT
from tests import plain_recipe
from tests.facts import by_default
from tests.integration.service import ROOT

OLDEST_RUNTIME = ROOT / ".cache" / "onnxruntime-1.19"

RUN = f"""
import sys
import numpy, onnxruntime
assert onnxruntime.__version__.startswith("1.19."), onnxruntime.__version__
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
pixels = numpy.load(sys.argv[2])
numpy.save(sys.argv[3], session.run(["{MEMBER_OUTPUT}"], {{"{MEMBER_INPUT}": pixels}})[0])
"""


def test_an_onnx_artefact_gives_the_same_logits_in_onnx_runtime_1_19(oral_cancer, tmp_path):
    artefact = oral_cancer.repository / "oral_cancer_vgg16" / "1" / "model.onnx"
    pixels = np.stack([plain_recipe.pixels(f, oral_cancer.spec) for f in oral_cancer.files[:3]])
    np.save(tmp_path / "pixels.npy", pixels)
    paths = [str(artefact), str(tmp_path / "pixels.npy"), str(tmp_path / "logits.npy")]
    subprocess.run(
        [sys.executable, "-c", RUN, *paths],
        env={"PYTHONPATH": str(OLDEST_RUNTIME)}, check=True, timeout=120,
    )  # fmt: skip
    run = formats.open_artefact(artefact, oral_cancer.spec.members["vgg16"].format)
    np.testing.assert_allclose(np.load(tmp_path / "logits.npy"), run(pixels), atol=1e-4)


@pytest.mark.parametrize("member", ["vgg16", "regnet"])
def test_the_other_format_passes_the_gate_too(oral_cancer, tmp_path, member):
    facts = by_default("oral_cancer")
    swapped = {"onnx": "torchscript", "torchscript": "onnx"}
    facts["members"][member]["format"] = swapped[facts["members"][member]["format"]]
    (tmp_path / "oral_cancer.yaml").write_text(yaml.safe_dump(facts, sort_keys=False))
    spec = load_spec("oral_cancer", tmp_path)
    repository = ModelRepository(tmp_path / "model_repository")
    (exported,) = export(spec, {member: oral_cancer.checkpoints[member]}, repository)
    assert exported.manifest.artefact == spec.members[member].format.filename
    assert exported.manifest.parity_error <= spec.parity.tolerance
