"""A release beside another one: its configs from its own copy, its models by names of its own."""

import json
import shutil

import pytest

from pipelines.load import FOLDER, load_definition, load_spec
from pipelines.protocol import PIPELINE_PARAMETER
from pipelines.release import current_path
from pipelines.release_files import ReleaseFiles, keep_configs
from pipelines.release_state import ReleaseState
from server.errors import RefusedPipelineError
from server.releases.discovery import PipelineDiscovery
from server.releases.staged_folder import StagedFolder
from server.releases.verification import verify_kept
from tests.unit.server.releases import artefacts

SPEC = load_spec("oral_cancer")
LATER = SPEC.model_copy(
    update={"threshold": SPEC.threshold.model_copy(update={"default": SPEC.threshold.maximum})}
)


def configure(repository, spec):
    for model in spec.models:
        artefacts.write_config(repository, spec, model)


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "repository"
    for member in SPEC.members:
        artefacts.write_version(folder, SPEC, member)
    return folder


@pytest.fixture
def both(repository):
    """Two releases whose threshold differs; the configs in the repository are the later one's."""
    releases = []
    for spec in (SPEC, LATER):
        configure(repository, spec)
        releases.append(artefacts.write_release(repository, spec))
    return releases


def kept(repository, release):
    files = ReleaseFiles(repository)
    return verify_kept(SPEC.name, release.identity, repository, files)


def test_a_release_serves_by_its_own_configs_whatever_the_repository_has_since(both, repository):
    older, later = both
    for release, spec in ((older, SPEC), (later, LATER)):
        found = kept(repository, release)
        decision = found.configs[found.decision].parameters[PIPELINE_PARAMETER]
        assert json.loads(decision.string_value) == spec.model_dump(mode="json")


def test_a_staged_release_has_models_by_names_of_its_own(both, repository):
    later = kept(repository, both[1])
    suffix = f"--{both[1].identity}"
    assert list(later.configs) == [f"{model}{suffix}" for model in SPEC.models]
    assert all(config.name == model for model, config in later.configs.items())
    assert later.name == f"oral_cancer{suffix}"
    decision = later.loadable(later.decision, generation=1)
    assert decision.parameters["staged"].string_value == both[1].identity
    assert decision.parameters["release"].string_value == both[1].identity
    member = later.loadable(f"oral_cancer_vgg16{suffix}", generation=1)
    assert list(member.version_policy.specific.versions) == [1]
    assert member.parameters["sha256"].string_value == both[1].artefact_sha256("vgg16")
    assert "first" not in later.loadable(later.name, generation=1).parameters


def test_the_steps_of_a_staged_ensemble_are_its_own(both, repository):
    for spec, model in ((LATER, "oral_cancer"),):
        path = repository / model / "config.pbtxt"
        text = path.read_text() + 'platform: "ensemble"\nensemble_scheduling {\n  step {\n'
        path.write_text(f'{text}    model_name: "oral_cancer_decode"\n  }}\n}}\n')
        release = artefacts.write_release(repository, spec)
    found = kept(repository, release)
    (step,) = found.configs[found.name].ensemble_scheduling.step
    assert step.model_name == f"oral_cancer_decode--{release.identity}"


def test_an_edited_copy_of_the_configs_is_refused_by_its_name(both, repository):
    path = repository / "oral_cancer" / "releases" / f"{both[0].identity}.configs"
    path.write_text(path.read_text().replace("weighted", "weighed").replace("max_batch", "max"))
    with pytest.raises(RefusedPipelineError, match=rf"{both[0].identity}.configs: has not the"):
        kept(repository, both[0])
    path.unlink()
    with pytest.raises(RefusedPipelineError, match=rf"{both[0].identity}.configs: missing"):
        kept(repository, both[0])


def test_a_copy_is_made_only_of_the_configs_that_the_release_names(both, repository):
    path = repository / "oral_cancer" / "releases" / f"{both[0].identity}.configs"
    path.unlink()
    with pytest.raises(ValueError, match="put the YAML back"):
        keep_configs(both[0], repository)
    configure(repository, SPEC)
    keep_configs(both[0], repository)
    assert kept(repository, both[0]).release == both[0]


def test_an_artefact_that_was_replaced_is_refused(both, repository):
    (repository / "oral_cancer_vgg16" / "1" / "model.onnx").write_bytes(b"others")
    with pytest.raises(RefusedPipelineError, match="corrupt or replaced"):
        kept(repository, both[1])


def test_once_releases_were_changed_the_launcher_starts_with_the_current_one(
    both, repository, tmp_path
):
    specs = tmp_path / "specs"
    specs.mkdir()
    shutil.copy(FOLDER / "oral_cancer.yaml", specs)
    assert load_definition("oral_cancer", specs).resolve("default") == SPEC
    state = ReleaseState(
        pipeline="oral_cancer", profile="default", revision=1, current=both[1].identity
    )
    state.write(repository)
    # Its facts are those of the release, and not those of the YAML.
    ((release,), problems) = PipelineDiscovery(specs, repository, None).look()
    assert (release.identity, problems) == (both[1].identity, [])
    # Under the name that it has wherever it is loaded, and marked as what the launcher began with.
    assert release.name == f"oral_cancer--{both[1].identity}"
    ensemble = release.loadable(release.name, generation=1).parameters
    assert ensemble["first"].string_value == both[1].identity
    current_path("oral_cancer", "default", repository).write_text("1-00000000\n")
    ((), (problem,)) = PipelineDiscovery(specs, repository, None).look()
    assert "1-00000000.json: missing" in problem


def test_models_of_a_staged_release_lead_to_the_versions_of_the_repository(
    both, repository, tmp_path
):
    folder = StagedFolder(tmp_path / "staged")
    release = kept(repository, both[1])
    folder.add(release)
    version = tmp_path / "staged" / f"oral_cancer_vgg16--{both[1].identity}" / "1"
    assert version.resolve() == (repository / "oral_cancer_vgg16" / "1").resolve()
    assert (tmp_path / "staged" / release.name / "1").is_dir()
    folder.remove(release)
    assert list((tmp_path / "staged").iterdir()) == []
    assert (repository / "oral_cancer_vgg16" / "1" / "model.onnx").is_file()
