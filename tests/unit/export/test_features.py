"""The second output of a classifier: what enters its last linear layer."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import yaml
from torch import nn

from export import architectures, formats, versions
from export.errors import ConversionError, ParityError
from export.gate import GateError
from export.graph import ServedMember, features_of, with_features
from export.labelled_photos import Evidence
from export.repository import ModelRepository
from inference.features import difference
from pipelines import protocol
from pipelines.enums import Format
from pipelines.load import SpecError, load_spec
from pipelines.manifest import Manifest
from tests.unit.export.conftest import FEATURES

QUANTISED = {"regnet_int8": "static", "dynamic": "dynamic", "regnet_fp16": "fp16"}
SHIPPED = {
    "efficientnet_b0": 1280,
    "mobilenetv3_small_100": 1024,
    "regnety_002": 368,
    "vgg16_small_head": 256,
    "vit_base_patch16_224": 768,
}


def shades(count):
    """Dark images and bright ones in turns, and their labels."""
    random = np.random.default_rng(0)
    labels = np.arange(count) % 2
    noise = random.integers(0, 60, (count, 32, 48, 3))
    return (noise + 160 * labels[:, None, None, None]).astype(np.uint8), labels


@pytest.fixture
def spec(facts, specs, tiny):
    """Tiny members that give features: FP32 as ONNX and TorchScript, INT8 and FP16."""
    facts["members"]["regnet_onnx"] = {"checkpoint": "regnet", "format": "onnx", "weight": 0}
    for name, method in QUANTISED.items():
        quantisation = {"of": "regnet_onnx", "method": method}
        facts["members"][name] = {"quantisation": quantisation, "weight": 0}
    facts["quantisation_gate"] = {
        "images_at_least": 20,
        "agreement_at_least": 0,
        "accuracy_drop_at_most": 1,
        "sensitivity_drop_at_most": 1,
    }
    (specs / "oral_cancer.yaml").write_text(yaml.safe_dump(facts, sort_keys=False), "utf-8")
    with torch.no_grad():
        tiny.head.weight.mul_(20)
    return load_spec("oral_cancer", specs)


@pytest.fixture
def weights(tiny, tmp_path):
    path = tmp_path / "weights.pt"
    torch.save(tiny.state_dict(), path)
    return path


@pytest.fixture
def evidence():
    return Evidence(shades(16)[0], *shades(20))


@pytest.fixture
def repository(tmp_path):
    return ModelRepository(tmp_path / "model_repository")


def export(spec, weights, repository, evidence):
    return versions.export(spec, {"regnet": weights}, repository, evidence=evidence)


def test_every_form_gives_the_features_of_the_checkpoint(spec, weights, repository, evidence, tiny):
    pixels, _ = shades(3)
    with torch.inference_mode():
        member = ServedMember(tiny, spec.preprocessing).eval()
        expected = features_of(member, torch.from_numpy(pixels)).numpy()
        logits = member(torch.from_numpy(pixels)).numpy()
    exported = export(spec, weights, repository, evidence)
    assert {each.member for each in exported} == {"regnet", "regnet_onnx", *QUANTISED}
    for each in exported:
        format_ = spec.members[each.member].format
        artefact = each.folder / each.manifest.artefact
        quantised = spec.members[each.member].quantisation
        atol = 0.05 if quantised else 1e-5
        for count in (1, 3):
            found = formats.open_features(artefact, format_)(pixels[:count])
            np.testing.assert_allclose(found, expected[:count], atol=atol)
            found = formats.open_artefact(artefact, format_)(pixels[:count])
            np.testing.assert_allclose(found, logits[:count], atol=20 * atol)
        manifest = Manifest.read(each.folder)
        assert (manifest.parity_features is None) == (quantised is not None)
        if format_ is Format.ONNX:
            session = onnxruntime.InferenceSession(artefact, providers=["CPUExecutionProvider"])
            outputs = {output.name: output.shape[1:] for output in session.get_outputs()}
            assert outputs == {protocol.MEMBER_OUTPUT: [2], protocol.MEMBER_FEATURES: [FEATURES]}


def test_a_member_that_says_no_features_gives_logits_alone(spec, weights, repository):
    (exported,) = versions.export(spec, {"vgg16": weights}, repository, members=["vgg16"])
    graph = onnx.load(exported.folder / "model.onnx").graph
    assert [output.name for output in graph.output] == [protocol.MEMBER_OUTPUT]
    assert exported.manifest.parity_features is None


@pytest.mark.parametrize(("architecture", "count"), SHIPPED.items())
def test_the_architectures_give_their_features_and_the_same_logits(architecture, count):
    preprocessing = load_spec("oral_cancer").preprocessing
    member = ServedMember(architectures.build(architecture, 2), preprocessing).eval()
    pixels = torch.randint(0, 256, (2, 224, 224, 3), dtype=torch.uint8)
    with torch.inference_mode():
        expected, entering = member(pixels), features_of(member, pixels)
        with with_features(member, count) as both:
            logits, features = both(pixels)
        after = member(pixels)
    assert torch.equal(logits, expected)
    assert torch.equal(features, entering)
    assert torch.equal(after, expected)
    assert features.shape == (2, count)


def test_another_number_of_features_than_the_yaml_says_is_named(
    spec, weights, repository, evidence
):
    said = spec.members["regnet"].model_copy(update={"features": 5})
    wrong = spec.model_copy(update={"members": {**spec.members, "regnet": said}})
    with pytest.raises(ConversionError, match=r"regnet: `features` is 5 .* takes 4: correct it"):
        export(wrong, weights, repository, evidence)
    assert not list(repository.root.rglob("manifest.json"))


def test_a_network_without_a_linear_layer_has_no_features(spec):
    member = ServedMember(nn.AdaptiveAvgPool2d(1), spec.preprocessing)
    with (
        pytest.raises(ConversionError, match="no linear layer to take features from: leave"),
        with_features(member, 4),
    ):
        pass


@pytest.mark.parametrize("bend", [1e-2, np.nan])
def test_features_that_differ_from_the_checkpoints_publish_nothing(
    spec, weights, repository, monkeypatch, bend
):
    good = formats.open_features
    monkeypatch.setattr(
        formats, "open_features", lambda *given: lambda pixels: good(*given)(pixels) + bend
    )
    with pytest.raises(ParityError, match=r"features differ from the checkpoint's by"):
        versions.export(spec, {"regnet": weights}, repository, members=["regnet"])
    assert not list(repository.root.rglob("manifest.json"))


def test_a_difference_counts_as_a_share_of_the_largest_feature():
    assert difference(np.array([100.0, 1.5]), np.array([100.0, 1.0])) == pytest.approx(0.005)
    assert difference(np.array([0.2]), np.array([0.1])) == pytest.approx(0.1)
    assert difference(np.array([np.nan]), np.array([0.1])) == np.inf


def test_a_quantised_member_whose_features_are_no_numbers_is_not_published(
    spec, weights, repository, evidence, monkeypatch
):
    good = formats.open_features

    def broken(path, format_):
        run = good(path, format_)
        bent = np.nan if "int8" in path.parent.name else 0
        return lambda pixels: run(pixels) + np.float32(bent)

    monkeypatch.setattr(formats, "open_features", broken)
    with pytest.raises(GateError, match="regnet_int8: a feature is not a finite number"):
        export(spec, weights, repository, evidence)
    assert not list(repository.root.rglob("manifest.json"))


def test_an_artefact_without_features_is_not_served_where_the_yaml_says_them(spec):
    said = spec.members["regnet"].model_copy(update={"features": None})
    without = spec.model_copy(update={"members": {**spec.members, "regnet": said}})
    assert without.member_hash("regnet") != spec.member_hash("regnet")
    assert without.member_hash("vgg16") == spec.member_hash("vgg16")


def test_a_quantised_member_has_the_features_of_its_original(facts, specs):
    facts["members"]["regnet_onnx"] = {"checkpoint": "regnet", "format": "onnx", "weight": 0}
    quantisation = {"of": "regnet_onnx", "method": "static"}
    facts["members"]["regnet_int8"] = {"quantisation": quantisation, "features": 5}
    (specs / "oral_cancer.yaml").write_text(yaml.safe_dump(facts, sort_keys=False), "utf-8")
    with pytest.raises(SpecError, match=r"regnet_int8\.features: is what regnet_onnx has"):
        load_spec("oral_cancer", specs)
