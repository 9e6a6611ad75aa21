"""What the launcher vouches for under a profile: its members, its configs, one training."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from pipelines.load import load_spec
from server.errors import RefusedPipelineError
from server.vouching import vouch
from tests.unit.server import artefacts

DEFAULT, ONNX = load_spec("oral_cancer"), load_spec("oral_cancer", profile="onnx")
BOTH = DEFAULT.model_copy(
    update={
        "members": DEFAULT.members
        | {"regnet_onnx": ONNX.members["regnet_onnx"].model_copy(update={"weight": 0.0})}
    }
)
"""A profile that serves two forms of one checkpoint."""
PROFILE = "configs/onnx.pbtxt"
LATER = datetime.now(UTC) + timedelta(hours=1)


@pytest.fixture
def repository(tmp_path):
    """The onnx profile's members, and configs of both profiles."""
    for model in {*DEFAULT.models, *ONNX.models}:
        artefacts.write_config(tmp_path, DEFAULT, model)
    artefacts.write_config(tmp_path, ONNX, ONNX.name, PROFILE)
    for member in ONNX.members:
        artefacts.write_version(tmp_path, ONNX, member)
    return tmp_path


def test_only_the_members_of_the_profile_must_be_there(repository):
    release = vouch(ONNX, repository)
    assert list(release.manifests) == ["vgg16", "regnet_onnx"]
    assert tuple(release.configs) == ONNX.models
    with pytest.raises(RefusedPipelineError, match="oral_cancer_regnet: no weights"):
        vouch(DEFAULT, repository)


def test_where_one_process_does_all_only_it_and_the_ensemble_are_loaded(repository):
    release = vouch(ONNX, repository)
    assert list(release.configs) == ["oral_cancer_decision", "oral_cancer"]
    decision = release.loadable("oral_cancer_decision", generation=1).parameters
    found = json.loads(decision["artefacts"].string_value)
    assert {member: facts["version"] for member, facts in found.items()} == {
        "vgg16": "1",
        "regnet_onnx": "1",
    }


def test_a_profile_has_an_identity_of_its_own(repository):
    artefacts.write_version(repository, DEFAULT, "regnet")
    assert vouch(ONNX, repository).identity != vouch(DEFAULT, repository).identity


def test_a_config_of_the_profile_goes_before_the_common_one(repository):
    model = "oral_cancer_decision"
    wide = ONNX.serving.model_copy(update={"max_batch": 99})
    artefacts.write_config(repository, ONNX.model_copy(update={"serving": wide}), model, PROFILE)
    artefacts.write_version(repository, DEFAULT, "regnet")
    assert vouch(ONNX, repository).configs[model].max_batch_size == 99
    assert vouch(DEFAULT, repository).configs[model].max_batch_size == 16


def test_a_config_of_the_profile_that_is_missing_is_noticed(repository):
    (repository / ONNX.name / PROFILE).unlink()
    with pytest.raises(RefusedPipelineError, match="run `make configs`"):
        vouch(ONNX, repository)


def test_missing_weights_name_profile_and_checkpoint(repository):
    for path in (repository / "oral_cancer_regnet_onnx" / "1").iterdir():
        path.unlink()
    (repository / "oral_cancer_regnet_onnx" / "1").rmdir()
    with pytest.raises(RefusedPipelineError) as raised:
        vouch(ONNX, repository)
    assert "make demo PROFILE=onnx" in str(raised.value)
    assert "--profile onnx --checkpoint regnet=FILE" in str(raised.value)


def test_two_forms_that_are_served_come_from_one_checkpoint(repository):
    for model in BOTH.models:
        artefacts.write_config(repository, BOTH, model)
    artefacts.write_version(repository, BOTH, "regnet")
    assert set(vouch(BOTH, repository).manifests) == set(BOTH.members)
    artefacts.write_version(repository, BOTH, "regnet", 2, checkpoint_sha256="1" * 64)
    with pytest.raises(RefusedPipelineError) as raised:
        vouch(BOTH, repository)
    assert "regnet v2 and regnet_onnx v1 come from different checkpoints" in str(raised.value)


def test_a_form_of_a_checkpoint_that_was_replaced_since_is_refused(repository):
    other = {"checkpoint_sha256": "1" * 64, "created": LATER}
    artefacts.write_version(repository, DEFAULT, "regnet", 2, **other)
    with pytest.raises(RefusedPipelineError) as raised:
        vouch(ONNX, repository)
    assert "regnet_onnx v1 and regnet v2 come from different checkpoints" in str(raised.value)
    assert "--profile onnx --checkpoint regnet=FILE" in str(raised.value)


def test_a_form_of_a_newer_checkpoint_is_served(repository):
    other = {"checkpoint_sha256": "1" * 64, "created": LATER}
    artefacts.write_version(repository, ONNX, "regnet_onnx", 2, **other)
    artefacts.write_version(repository, DEFAULT, "regnet")
    assert vouch(ONNX, repository).manifests["regnet_onnx"].version == 2
