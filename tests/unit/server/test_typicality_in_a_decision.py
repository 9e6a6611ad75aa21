"""Decision steps judge whether an image is of the kind that the models learnt from."""

import hashlib
import json

import numpy as np
import pytest

from inference.picture_statistics import COUNT
from pipelines import protocol
from pipelines.enums import Measure
from pipelines.load import load_spec
from pipelines.manifest import Manifest
from pipelines.protocol import ConfigOverride, DetectorOutput
from pipelines.typicality import ReleasedReference, reference_path
from server.backends.detection.model import TritonPythonModel as Detection
from server.backends.weighted_ensemble.model import TritonPythonModel as WeightedEnsemble
from tests.references import made
from tests.unit.server import python_backend
from tests.unit.server.python_backend import Received, answer
from tests.unit.server.releases import artefacts

pytestmark = pytest.mark.usefixtures("triton")
SPEC = load_spec("oral_cancer")
USUAL, STRANGE = np.full(COUNT, 0.5, np.float32), np.full(COUNT, 5.0, np.float32)
SURE = np.array([[-9.0, 9.0]], np.float32)
"""Logits of a member that is certain."""
FEATURES = np.zeros((1, 368), np.float32)


@pytest.fixture
def of_regnet(tmp_path):
    folder = artefacts.write_version(tmp_path / "other", SPEC, "regnet")
    return made(SPEC, Manifest.read(folder), like=USUAL)


def started(step, spec, folder, reference=None, sha256=None):
    """A decision step whose launcher names a reference, which lies in the repository."""
    parameters = {protocol.PIPELINE_PARAMETER: spec.model_dump_json()}
    if reference is not None:
        content = reference.content()
        named = sha256 or hashlib.sha256(content).hexdigest()
        path = folder / reference_path(spec.name, named)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        released = ReleasedReference(sha256=named, origin=reference.about)
        parameters[ConfigOverride.REFERENCE] = released.served
    config = {
        "max_batch_size": spec.serving.max_batch,
        "parameters": {name: {"string_value": value} for name, value in parameters.items()},
    }
    model = step()
    model.initialize(
        {
            "model_name": "decision",
            "model_config": json.dumps(config),
            "model_repository": str(folder / protocol.decision_model(spec.name)),
        }
    )
    return model


def members(features=FEATURES):
    """What the models of both members say of one image."""
    for name in SPEC.members:
        found = {"OUTPUT__0": SURE, "OUTPUT__1": features}
        python_backend.models[protocol.member_model("oral_cancer", name)] = (
            lambda inputs, found=found: {
                key: np.tile(array, (len(inputs["INPUT__0"]), 1)) for key, array in found.items()
            }
        )


def asked(step, picture, **parameters):
    images = len(picture)
    inputs = {
        protocol.PIXELS: np.zeros((images, 224, 224, 3), np.uint8),
        protocol.MEASURES: np.ones((images, len(Measure)), np.float32),
        protocol.SPENT: np.zeros((images, 3)),
        protocol.PICTURE: picture,
    }
    (response,) = step.execute([Received(inputs, json.dumps(parameters))])
    return answer(response)


def test_an_atypical_image_is_highly_uncertain_and_the_decision_stays(tmp_path, of_regnet):
    members()
    step = started(WeightedEnsemble, SPEC, tmp_path, of_regnet)

    found = asked(step, np.stack([USUAL, STRANGE]))

    assert found["typical"].tolist() == [[1], [0]]
    assert found["typicality"][0, 0] > 0.01
    assert found["typicality"][1, 0] == pytest.approx(1 / 501)
    assert found["typicality_views"].tolist() == [[2], [2]]
    assert found["uncertainty_level"].tolist() == [[0], [2]]
    assert found["prediction"].tolist() == [[1], [1]]


def test_strange_features_alone_make_an_image_atypical(tmp_path, of_regnet):
    members(FEATURES + 40)
    found = asked(started(WeightedEnsemble, SPEC, tmp_path, of_regnet), USUAL[None])
    assert found["typical"].tolist() == [[0]]


def test_another_member_is_judged_by_the_picture_alone(tmp_path, of_regnet):
    members(FEATURES + 40)
    step = started(WeightedEnsemble, SPEC, tmp_path, of_regnet)

    found = asked(step, np.stack([USUAL, STRANGE]), member="vgg16")

    assert found["typicality_views"].tolist() == [[1], [1]]
    assert found["typical"].tolist() == [[1], [0]]
    assert asked(step, USUAL[None], member="regnet")["typical"].tolist() == [[0]]


def test_a_release_without_a_reference_judges_nothing(tmp_path):
    members()
    found = asked(started(WeightedEnsemble, SPEC, tmp_path), STRANGE[None])
    assert np.isnan(found["typicality"]).all()
    assert found["typical"].tolist() == [[-1]]
    assert found["typicality_views"].tolist() == [[0]]
    assert found["uncertainty_level"].tolist() == [[0]]


def test_features_that_are_not_finite_are_no_answer(tmp_path, of_regnet):
    members(FEATURES * np.nan)
    step = started(WeightedEnsemble, SPEC, tmp_path, of_regnet)
    inputs = {
        protocol.PIXELS: np.zeros((1, 224, 224, 3), np.uint8),
        protocol.MEASURES: np.ones((1, len(Measure)), np.float32),
        protocol.SPENT: np.zeros((1, 3)),
        protocol.PICTURE: USUAL[None],
    }
    (response,) = step.execute([Received(inputs)])
    assert "[model_output]" in response.error().message()


@pytest.mark.parametrize("change", ["replaced", "missing"])
def test_a_file_that_is_not_the_release_s_reference_is_not_served(tmp_path, of_regnet, change):
    if change == "replaced":
        with pytest.raises(python_backend.TritonModelException, match="is not the reference"):
            started(WeightedEnsemble, SPEC, tmp_path, of_regnet, sha256="d" * 64)
        return
    started(WeightedEnsemble, SPEC, tmp_path, of_regnet)
    (file,) = (tmp_path / "oral_cancer" / "typicality").iterdir()
    content = file.read_bytes()
    file.write_bytes(content[:100])
    with pytest.raises(python_backend.TritonModelException, match="is not the reference"):
        read_again(tmp_path, of_regnet, content)


def read_again(folder, reference, content):
    """Starts a step without writing the file."""
    released = ReleasedReference(sha256=hashlib.sha256(content).hexdigest(), origin=reference.about)
    parameters = {
        protocol.PIPELINE_PARAMETER: SPEC.model_dump_json(),
        ConfigOverride.REFERENCE: released.served,
    }
    config = {
        "max_batch_size": 4,
        "parameters": {name: {"string_value": value} for name, value in parameters.items()},
    }
    WeightedEnsemble().initialize(
        {
            "model_name": "decision",
            "model_config": json.dumps(config),
            "model_repository": str(folder / "oral_cancer_decision"),
        }
    )


def test_a_detector_s_image_is_judged_by_its_features_too(tmp_path):
    spec = load_spec("object_detection")
    folder = artefacts.write_version(tmp_path / "other", spec, "yolos")
    reference = made(spec, Manifest.read(folder), like=USUAL)
    step = started(Detection, spec, tmp_path, reference)
    for shift, picture, typical in ((0, USUAL, 1), (40, USUAL, 0), (0, STRANGE, 0)):
        found = {
            DetectorOutput.BOXES: np.zeros((1, 1, 4), np.float32),
            DetectorOutput.SCORES: np.array([[0.1]], np.float32),
            DetectorOutput.CLASSES: np.zeros((1, 1), np.int64),
            DetectorOutput.FEATURES: np.full((1, 192), shift, np.float32),
        }
        python_backend.models[protocol.member_model(spec.name, "yolos")] = lambda _, found=found: {
            str(name): array for name, array in found.items()
        }
        inputs = {
            protocol.PIXELS: np.zeros((1, 416, 416, 3), np.uint8),
            protocol.GEOMETRY: np.array([[416, 416, 1, 1, 0, 0]], np.float64),
            protocol.MEASURES: np.ones((1, len(Measure)), np.float32),
            protocol.SPENT: np.zeros((1, 3)),
            protocol.PICTURE: picture[None],
            protocol.ENCODED_IMAGE: np.array([[b""]], dtype=object),
        }
        (response,) = step.execute([Received(inputs)])
        outputs = answer(response)
        assert outputs["typical"].tolist() == [[typical]]
        assert outputs["typicality_views"].tolist() == [[2]]
