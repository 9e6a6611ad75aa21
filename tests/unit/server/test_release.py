"""What the launcher vouches for before it loads anything, on files as the export writes them."""

import json

import pytest
from tritonclient.grpc import model_config_pb2 as pb

from pipelines import protocol
from pipelines.load import load_spec
from server.errors import RefusedPipelineError
from server.vouching import vouch
from tests.unit.server import artefacts

SPEC = load_spec("oral_cancer")
MEMBERS = list(SPEC.members)


@pytest.fixture
def repository(tmp_path):
    for model in SPEC.models:
        artefacts.write_config(tmp_path, SPEC, model)
    for member in MEMBERS:
        artefacts.write_version(tmp_path, SPEC, member)
    return tmp_path


@pytest.fixture
def model(repository):
    """The folder of the first member's model."""
    return repository / protocol.member_model(SPEC.name, MEMBERS[0])


def parameters(config: pb.ModelConfig) -> dict[str, str]:
    return {key: value.string_value for key, value in config.parameters.items()}


def test_a_good_repository_is_vouched_for(repository):
    release = vouch(SPEC, repository)
    assert list(release.manifests) == MEMBERS
    assert next(iter(release.configs)) == "oral_cancer_decode"
    assert list(release.configs)[-2:] == ["oral_cancer_decision", "oral_cancer"]
    assert release.identity.startswith(f"{SPEC.release}-")
    assert release.demo


def test_the_newest_version_by_number_is_served(repository, model):
    artefacts.write_version(repository, SPEC, MEMBERS[0], version=9)
    artefacts.write_version(repository, SPEC, MEMBERS[0], version=10)
    release = vouch(SPEC, repository)
    assert release.manifests[MEMBERS[0]].version == 10
    live = release.loadable(model.name, generation=1)
    assert list(live.version_policy.specific.versions) == [10]


def test_the_delta_pins_versions_and_names_what_is_served(repository):
    release = vouch(SPEC, repository)
    sha = {member: manifest.artefact_sha256 for member, manifest in release.manifests.items()}
    member = release.loadable(protocol.member_model(SPEC.name, MEMBERS[0]), generation=3)
    assert parameters(member) == {"sha256": sha[MEMBERS[0]], "generation": "3"}
    decision = release.loadable(protocol.decision_model(SPEC.name), generation=1)
    assert parameters(decision) == {"release": release.identity, "generation": "1"}
    ensemble = parameters(release.loadable(SPEC.name, generation=1))
    assert json.loads(ensemble["artefacts"]) == {
        member: {"version": "1", "sha256": sha[member], "weights": "demo"} for member in MEMBERS
    }


def test_no_weights_name_the_command_that_makes_them(repository, model):
    for path in sorted((model / "1").iterdir()):
        path.unlink()
    (model / "1").rmdir()
    with pytest.raises(RefusedPipelineError, match="no weights: run `make demo`"):
        vouch(SPEC, repository)


def test_a_corrupt_artefact_is_refused_by_its_name(repository, model):
    artefact = model / "1" / SPEC.members[MEMBERS[0]].format.filename
    artefact.write_bytes(artefact.read_bytes()[:-1] + b"?")
    with pytest.raises(RefusedPipelineError, match=f"{artefact.name}: corrupt or replaced"):
        vouch(SPEC, repository)


def test_a_newer_version_that_is_broken_is_not_passed_over_for_an_older_one(repository, model):
    (model / "2").mkdir()
    with pytest.raises(RefusedPipelineError, match=r"/2: no manifest\.json"):
        vouch(SPEC, repository)


def test_an_artefact_that_changes_after_the_check_is_not_loaded_again(repository, model):
    release = vouch(SPEC, repository)
    release.verify()
    (model / "1" / SPEC.members[MEMBERS[0]].format.filename).write_bytes(b"other")
    with pytest.raises(RefusedPipelineError, match="corrupt or replaced"):
        release.verify()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"member_hash": "f" * 64}, "another architecture, class order or preprocessing"),
        ({"member": "other"}, "made for member other"),
        ({"pipeline": "other"}, "made for pipeline other"),
        ({"class_map": {"0": "cancer", "1": "healthy"}}, "made for classes"),
    ],
)
def test_an_artefact_made_from_other_facts_is_refused(repository, model, changes, message):
    artefacts.write_version(repository, SPEC, MEMBERS[0], version=2, **changes)
    with pytest.raises(RefusedPipelineError, match=message):
        vouch(SPEC, repository)


def test_a_missing_class_map_is_refused_by_its_name(repository, model):
    (model / "1" / "class_map.json").unlink()
    with pytest.raises(RefusedPipelineError, match=r"class_map\.json: missing"):
        vouch(SPEC, repository)


def test_a_config_of_other_facts_is_refused_with_the_remedy(repository):
    path = repository / SPEC.name / "config.pbtxt"
    path.write_text(path.read_text().replace("bilinear", "bicubic"))
    with pytest.raises(RefusedPipelineError, match="run `make configs`"):
        vouch(SPEC, repository)


@pytest.mark.parametrize("text", ["nonsense {", 'name: "other"'])
def test_a_config_that_is_no_config_is_refused_by_its_name(repository, model, text):
    (model / "config.pbtxt").write_text(text)
    with pytest.raises(RefusedPipelineError, match=f"{model.name}/config.pbtxt"):
        vouch(SPEC, repository)


def test_a_missing_config_is_refused_by_its_name(repository, model):
    (model / "config.pbtxt").unlink()
    with pytest.raises(RefusedPipelineError, match=r"config\.pbtxt: missing: run `make configs`"):
        vouch(SPEC, repository)
