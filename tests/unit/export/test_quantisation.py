"""Members of fewer bits: made from the FP32 artefact, judged, and published only with proof."""

import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
import yaml
from torch import nn

from export import architectures, formats, versions
from export.errors import ConversionError, UnknownMemberError
from export.gate import GateError
from export.graph import ServedMember
from export.labelled_photos import Evidence, EvidenceError
from export.quantisation import quantise
from export.repository import ModelRepository
from pipelines.enums import Format, Method
from pipelines.load import load_spec
from pipelines.manifest import Manifest
from pipelines.protocol import MEMBER_INPUT
from tests import photos
from tests.integration.service import ROOT
from tests.unit.export.conftest import Tiny

IMAGES = 60
OLDEST_RUNTIME = ROOT / ".cache" / "onnxruntime-1.19"
RUN = f"""
import sys, numpy, onnxruntime
assert onnxruntime.__version__.startswith("1.19."), onnxruntime.__version__
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
numpy.save(sys.argv[3], session.run(None, {{"{MEMBER_INPUT}": numpy.load(sys.argv[2])}})[0])
"""


class Layers(nn.Module):
    """Linear layers alone."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 48, 24), nn.ReLU())
        self.head = nn.Linear(24, classes)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(image).flatten(1))


ARCHITECTURES = {
    Method.STATIC: ("tiny", Tiny),
    Method.DYNAMIC: ("layers", Layers),
    Method.FP16: ("tiny", Tiny),
}
SIZE = {"height": 32, "width": 48}


@pytest.fixture(params=list(Method), scope="module")
def method(request):
    return request.param


@pytest.fixture
def spec(method, facts, specs, monkeypatch):
    """oral_cancer with an INT8 member of a tiny network that the method suits."""
    name, architecture = ARCHITECTURES[method]
    monkeypatch.setitem(architectures.ARCHITECTURES, "tiny", Tiny)
    monkeypatch.setitem(architectures.ARCHITECTURES, name, architecture)
    facts["members"]["vgg16"]["architecture"] = name
    quantisation = {"of": "vgg16", "method": str(method)}
    facts["members"]["int8"] = {"quantisation": quantisation, "weight": 0}
    facts["quantisation_gate"] = {"images_at_least": IMAGES}
    (specs / "oral_cancer.yaml").write_text(yaml.safe_dump(facts, sort_keys=False), "utf-8")
    return load_spec("oral_cancer", specs)


def shades(count, seed):
    """Dark photos and bright ones in turns: pixels and labels."""
    labels = np.arange(count) % 2
    images = [
        np.asarray(photos.photo(seed + index, 48, 32)) // 3 + 160 * label
        for index, label in enumerate(labels)
    ]
    return np.stack(images).astype(np.uint8), labels


@pytest.fixture
def evidence():
    calibration, _ = shades(20, seed=5000)
    return Evidence(calibration, *shades(IMAGES, seed=100))


@pytest.fixture(scope="module")
def preprocessing():
    return load_spec("oral_cancer").preprocessing.model_copy(update=SIZE)


@pytest.fixture(scope="module")
def served(method, preprocessing):
    """A random body whose head tells dark from bright."""
    torch.manual_seed(0)
    model = ARCHITECTURES[method][1](2)
    served = ServedMember(model, preprocessing).eval()
    pixels, labels = shades(80, seed=9000)
    image = (
        torch.from_numpy(pixels).permute(0, 3, 1, 2) * served.normalise.scale
        + served.normalise.offset
    )
    with torch.no_grad():
        features = model.body(image).flatten(1)
        wanted = torch.from_numpy(labels * 6.0 - 3).float()
        ones = torch.ones(len(features), 1)
        fitted = torch.linalg.lstsq(torch.cat([features, ones], 1), wanted).solution
        model.head.weight.copy_(torch.stack([-fitted[:-1], fitted[:-1]]))
        model.head.bias.copy_(torch.stack([-fitted[-1], fitted[-1]]))
    return served


@pytest.fixture(scope="module")
def artefact(served, tmp_path_factory):
    """The FP32 artefact, written once."""
    path = tmp_path_factory.mktemp("fp32") / "fp32.onnx"
    formats.write(served, *SIZE.values(), Format.ONNX, path)
    return path


@pytest.fixture
def fp32(artefact, tmp_path):
    return shutil.copy(artefact, tmp_path / "fp32.onnx")


@pytest.fixture
def written_before(monkeypatch, artefact):
    """For tests that are not about the conversion: the FP32 artefact is there already."""

    def write(*arguments, **_outputs):
        shutil.copy(artefact, arguments[-1])
        return formats.OPSET

    monkeypatch.setattr(formats, "write", write)


@pytest.fixture
def weights(served, tmp_path):
    path = tmp_path / "weights.pt"
    torch.save(served.model.state_dict(), path)
    return path


@pytest.fixture
def repository(tmp_path):
    return ModelRepository(tmp_path / "model_repository")


def left_over(repository):
    return [path for path in repository.root.rglob("*") if path.is_file()]


@pytest.mark.usefixtures("written_before")
def test_the_int8_member_comes_with_its_original_and_its_figures(
    spec, method, repository, weights, evidence
):
    exported = versions.export(spec, {"vgg16": weights}, repository, version=3, evidence=evidence)
    original, quantised = (item.manifest for item in exported)
    assert (original.member, quantised.member) == ("vgg16", "int8")
    assert original.version == quantised.version == 3
    assert original.gate is None
    gate = quantised.gate
    assert gate is not None
    assert gate.images == IMAGES
    assert gate.calibration_images == (20 if method is Method.STATIC else 0)
    assert gate.agreement >= 0.98
    assert gate.accuracy_fp32 > 0.9
    assert quantised.parity_error > 0
    assert quantised.checkpoint_sha256 == original.checkpoint_sha256
    assert original.cpu_ms > 0
    assert quantised.cpu_ms > 0
    folder = repository.root / "oral_cancer_int8" / "3"
    assert quantised.bytes == (folder / "model.onnx").stat().st_size
    Manifest.read(folder).verify(folder)
    assert sorted(path.name for path in folder.iterdir()) == [
        "class_map.json",
        "manifest.json",
        "model.onnx",
    ]


def test_int8_runs_in_onnx_runtime_1_19_with_any_batch(fp32, method, evidence, tmp_path):
    target = tmp_path / "int8.onnx"
    quantise(fp32, target, method, evidence.calibration)
    run = formats.open_artefact(target, Format.ONNX)
    paths = [tmp_path / "pixels.npy", tmp_path / "logits.npy"]
    for batch in (1, 3):
        np.save(paths[0], evidence.pixels[:batch])
        subprocess.run(
            [sys.executable, "-c", RUN, target, *paths],
            env={"PYTHONPATH": str(OLDEST_RUNTIME)},
            check=True,
            timeout=60,
        )
        expected = run(evidence.pixels[:batch])
        assert expected.shape == (batch, 2)
        np.testing.assert_allclose(np.load(paths[1]), expected, atol=0.05)


@pytest.mark.parametrize("method", [Method.STATIC, Method.DYNAMIC], indirect=True)
def test_the_graph_still_takes_pixels_and_weights_use_seven_bits(fp32, method, evidence, tmp_path):
    target = tmp_path / "int8.onnx"
    quantise(fp32, target, method, evidence.calibration)
    graph = onnx.load(target).graph
    assert graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert graph.input[0].type.tensor_type.shape.dim[0].dim_param
    signed = [item for item in graph.initializer if item.data_type == onnx.TensorProto.INT8]
    weights = [onnx.numpy_helper.to_array(item) for item in signed if np.prod(item.dims) > 7]
    assert weights
    assert max(np.abs(values).max() for values in weights) <= 64


@pytest.mark.parametrize("method", [Method.FP16], indirect=True)
def test_in_fp16_no_weight_is_in_fp32_and_pixels_and_logits_are_as_before(fp32, method, tmp_path):
    target = tmp_path / "fp16.onnx"
    quantise(fp32, target, method)
    graph = onnx.load(target).graph
    assert graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert graph.output[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    assert graph.input[0].type.tensor_type.shape.dim[0].dim_param
    kinds = {item.data_type for item in graph.initializer}
    assert onnx.TensorProto.FLOAT16 in kinds
    assert onnx.TensorProto.FLOAT not in kinds


@pytest.mark.parametrize("method", [Method.STATIC], indirect=True)
def test_a_failed_quantisation_leaves_no_file(fp32, tmp_path):
    target = tmp_path / "int8.onnx"
    with pytest.raises(ConversionError, match="needs calibration images"):
        quantise(fp32, target, Method.STATIC)
    fp32.write_bytes(b"no model")
    with pytest.raises(ConversionError, match="cannot be quantised"):
        quantise(fp32, target, Method.DYNAMIC)
    assert [path.name for path in tmp_path.glob("*.onnx")] == ["fp32.onnx"]


def test_a_network_without_anything_to_quantise_is_refused(tmp_path, preprocessing):
    class Pool(nn.Module):
        def forward(self, image):
            return image.mean((2, 3))[:, :2]

    path = tmp_path / "fp32.onnx"
    formats.write(ServedMember(Pool(), preprocessing).eval(), 32, 48, Format.ONNX, path)
    with pytest.raises(ConversionError, match="nothing in it to quantise"):
        quantise(path, tmp_path / "int8.onnx", Method.DYNAMIC)
    assert not (tmp_path / "int8.onnx").exists()


@pytest.mark.usefixtures("written_before")
@pytest.mark.parametrize("method", [Method.STATIC], indirect=True)
def test_a_lost_decision_publishes_nothing_and_says_the_figures(
    spec, repository, weights, evidence, monkeypatch
):
    def broken(source, target, *_):
        model = onnx.load(source)
        negate = onnx.helper.make_node("Neg", ["before"], [model.graph.output[0].name])
        model.graph.node[-1].output[0] = "before"
        model.graph.node.append(negate)
        onnx.save(model, target)

    monkeypatch.setattr(versions, "quantise", broken)
    with pytest.raises(GateError, match=r"int8 does not pass the gate[\s\S]*LOST: agreement 0\.0%"):
        versions.export(spec, {"vgg16": weights}, repository, evidence=evidence)
    assert left_over(repository) == []


def test_without_evidence_the_message_says_what_to_give(spec, method, repository, weights):
    with pytest.raises(EvidenceError, match=f"--validation DIR .* {IMAGES} or more") as raised:
        versions.export(spec, {"vgg16": weights}, repository)
    assert ("--calibration" in str(raised.value)) == (method is Method.STATIC)
    assert left_over(repository) == []


@pytest.mark.parametrize("method", [Method.STATIC], indirect=True)
def test_static_quantisation_without_calibration_is_refused_before_any_work(
    spec, repository, weights, evidence
):
    steps = []
    with pytest.raises(EvidenceError, match="--calibration DIR"):
        versions.export(
            spec,
            {"vgg16": weights},
            repository,
            evidence=replace(evidence, calibration=evidence.calibration[:0]),
            on_step=steps.append,
        )
    assert steps == []


def test_an_int8_member_takes_no_checkpoint_of_its_own(spec, repository, weights):
    with pytest.raises(UnknownMemberError, match="--checkpoint vgg16=FILE"):
        versions.export(spec, {"int8": weights}, repository)


@pytest.mark.parametrize("method", [Method.STATIC], indirect=True)
def test_another_member_needs_no_evidence(spec, repository, weights):
    (exported,) = versions.export(spec, {"regnet": weights}, repository)
    assert exported.member == "regnet"
