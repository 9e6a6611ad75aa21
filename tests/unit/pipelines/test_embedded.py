"""Which profile the embedded Triton takes where nobody asks for one."""

import pytest

from export import releases
from export.repository import ModelRepository
from pipelines.embedded import embedded_spec
from pipelines.load import FOLDER, load_definition, require_profile
from pipelines.profile import DEFAULT_PROFILE, EMBEDDED_PROFILE
from pipelines.release_state import state_path
from server.releases.discovery import PipelineDiscovery
from tests.unit.server.releases import artefacts

WHOLE = load_definition("oral_cancer")
FAST = WHOLE.resolve(WHOLE.embedded)
GAIN = WHOLE.profiles[WHOLE.embedded].embedded
DEFAULT = WHOLE.resolve(DEFAULT_PROFILE)
FIRST, SECOND = "1" * 64, "2" * 64


@pytest.fixture
def repository(tmp_path):
    """All configs, and neither weights nor releases."""
    for model in {*DEFAULT.models, *FAST.models}:
        artefacts.write_config(tmp_path, DEFAULT, model)
    for model in FAST.models:
        artefacts.write_config(tmp_path, FAST, model, f"configs/{FAST.profile}.pbtxt")
    return tmp_path


def export(repository, spec, checkpoint=FIRST, version=1, members=None):
    """Versions of members from a checkpoint, and the release of what is there then."""
    published = dict.fromkeys(members or spec.members, version)
    for member in published:
        artefacts.write_version(repository, spec, member, version, checkpoint_sha256=checkpoint)
    target = ModelRepository(repository)
    releases.write(releases.compose(spec, target, published), target)


def chosen(repository):
    spec, reason = embedded_spec(WHOLE, repository)
    assert reason
    return spec.profile, reason


def test_it_is_the_one_that_the_yaml_names_with_what_was_measured(repository):
    export(repository, FAST)
    profile, reason = chosen(repository)
    assert profile == FAST.profile
    assert GAIN in reason
    assert "PROFILE=default" in reason


def test_beside_the_default_from_the_same_checkpoints_it_is_too(repository):
    export(repository, FAST)
    export(repository, DEFAULT, members=["regnet"])
    assert chosen(repository)[0] == FAST.profile


def test_without_its_release_the_default_is_served_and_says_how_to_export_it(repository):
    export(repository, DEFAULT)
    profile, reason = chosen(repository)
    assert profile == DEFAULT_PROFILE
    assert f"python -m export oral_cancer --profile {FAST.profile}" in reason


@pytest.mark.parametrize("members", [["vgg16"], ["regnet"], ["vgg16", "regnet"]])
def test_checkpoints_that_were_exported_for_the_default_alone_are_served(repository, members):
    export(repository, FAST)
    export(repository, DEFAULT, members=["regnet"])
    export(repository, DEFAULT, SECOND, 2, members)
    profile, reason = chosen(repository)
    assert profile == DEFAULT_PROFILE
    assert "other checkpoints" in reason


def test_a_version_whose_checkpoint_is_not_known_is_not_taken(repository):
    export(repository, FAST)
    export(repository, DEFAULT, members=["regnet"])
    (repository / "oral_cancer_regnet_onnx" / "1" / "manifest.json").unlink()
    assert chosen(repository)[0] == DEFAULT_PROFILE


def test_a_release_that_was_promoted_under_the_default_goes_on(repository):
    export(repository, FAST)
    export(repository, DEFAULT, members=["regnet"])
    state_path("oral_cancer", DEFAULT_PROFILE, repository).write_text("{}")
    profile, reason = chosen(repository)
    assert profile == DEFAULT_PROFILE
    assert "promoted" in reason
    state_path("oral_cancer", FAST.profile, repository).write_text("{}")
    assert chosen(repository)[0] == FAST.profile


def test_a_pipeline_that_names_none_is_served_as_it_stands(tmp_path):
    assert embedded_spec(load_definition("mhist"), tmp_path)[0].profile == DEFAULT_PROFILE


def test_the_launcher_serves_it_and_says_why(repository):
    export(repository, FAST)
    looks = PipelineDiscovery(FOLDER, repository, ["oral_cancer"], EMBEDDED_PROFILE)
    looks.require_profile()
    ((release,), problems) = looks.look()
    assert (release.spec.profile, problems) == (FAST.profile, [])
    assert GAIN in looks.reasons["oral_cancer"]


def test_a_profile_that_is_asked_for_by_name_decides(repository):
    export(repository, FAST)
    export(repository, DEFAULT, members=["regnet"])
    for profile in (DEFAULT_PROFILE, FAST.profile):
        looks = PipelineDiscovery(FOLDER, repository, ["oral_cancer"], profile)
        ((release,), _) = looks.look()
        assert release.spec.profile == profile
        assert not looks.reasons


def test_it_is_known_where_no_yaml_names_one():
    require_profile(EMBEDDED_PROFILE, [load_definition("mhist")])
