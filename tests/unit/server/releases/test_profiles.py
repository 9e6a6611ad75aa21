"""What the launcher checks under a profile: its members, its configs, its release."""

import json

import pytest

from pipelines.load import load_spec
from server.errors import RefusedPipelineError
from tests.unit.server.releases import artefacts

DEFAULT, ONNX = load_spec("oral_cancer"), load_spec("oral_cancer", profile="onnx")
PROFILE = "configs/onnx.pbtxt"


@pytest.fixture
def repository(tmp_path):
    """The onnx profile's members, and configs of both profiles."""
    for model in {*DEFAULT.models, *ONNX.models}:
        artefacts.write_config(tmp_path, DEFAULT, model)
    for model in ("oral_cancer_decision", ONNX.name):
        artefacts.write_config(tmp_path, ONNX, model, PROFILE)
    for member in ONNX.members:
        artefacts.write_version(tmp_path, ONNX, member)
    artefacts.write_release(tmp_path, ONNX)
    return tmp_path


def test_only_the_members_of_the_profile_must_be_there(repository):
    release = artefacts.verify(repository, ONNX)
    assert list(release.release.members) == ["vgg16", "regnet_onnx"]
    assert tuple(release.configs) == ONNX.models
    with pytest.raises(RefusedPipelineError, match="oral_cancer_regnet: no weights"):
        artefacts.verify(repository, DEFAULT)


def test_where_one_process_does_all_only_it_and_the_ensemble_are_loaded(repository):
    release = artefacts.verify(repository, ONNX)
    assert list(release.configs) == ["oral_cancer_decision", "oral_cancer"]
    decision = release.loadable("oral_cancer_decision", generation=1).parameters
    found = json.loads(decision["artefacts"].string_value)
    assert {member: facts["version"] for member, facts in found.items()} == {
        "vgg16": "1",
        "regnet_onnx": "1",
    }


def test_a_profile_has_a_release_of_its_own(repository):
    artefacts.write_version(repository, DEFAULT, "regnet")
    artefacts.write_release(repository, DEFAULT)
    onnx, default = (artefacts.verify(repository, spec) for spec in (ONNX, DEFAULT))
    assert onnx.identity != default.identity


def test_a_config_of_the_profile_goes_before_the_common_one(repository):
    model = "oral_cancer_decision"
    path = repository / model / PROFILE
    path.write_text(path.read_text().replace("max_batch_size: 8", "max_batch_size: 99"))
    artefacts.write_version(repository, DEFAULT, "regnet")
    for spec, batch in ((ONNX, 99), (DEFAULT, 16)):
        artefacts.write_release(repository, spec)
        assert artefacts.verify(repository, spec).configs[model].max_batch_size == batch


def test_a_config_of_the_profile_that_is_missing_is_refused_by_its_name(repository):
    path = repository / ONNX.name / PROFILE
    path.unlink()
    with pytest.raises(RefusedPipelineError) as raised:
        artefacts.verify(repository, ONNX)
    assert f"{path}: missing" in str(raised.value)
    assert "run `make configs`" in str(raised.value)


def test_missing_weights_name_profile_and_checkpoint(repository):
    with pytest.raises(RefusedPipelineError) as raised:
        artefacts.verify(repository, load_spec("oral_cancer", profile="int8"))
    assert "make demo PROFILE=int8" in str(raised.value)
    assert "--profile int8 --checkpoint vgg16=FILE" in str(raised.value)
