"""Releases: which versions they name, when they change, and how one goes back."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest
import torch
import yaml
from typer.testing import CliRunner

from export import releases
from export.__main__ import app
from export.errors import RepositoryError
from export.repository import ModelRepository
from pipelines.load import FOLDER, load_definition, load_spec
from pipelines.profile import DEFAULT_PROFILE
from pipelines.release import Release, ReleaseError, current_path, release_path
from pipelines.release_files import ReleaseFiles, kept_configs
from pipelines.release_state import ReleaseState
from tests.unit.export.conftest import tiny_members
from tests.unit.server.releases import artefacts

DEFAULT, ONNX = load_spec("oral_cancer"), load_spec("oral_cancer", profile="onnx")
BOTH = DEFAULT.model_copy(
    update={
        "members": DEFAULT.members
        | {"regnet_onnx": ONNX.members["regnet_onnx"].model_copy(update={"weight": 0.0})}
    }
)
"""A profile that serves two forms of one checkpoint."""
LATER = datetime.now(UTC) + timedelta(hours=1)
OTHER = {"checkpoint_sha256": "1" * 64}


@pytest.fixture
def facts():
    """All that the YAML says, profiles and their members included."""
    return tiny_members(yaml.safe_load((FOLDER / "oral_cancer.yaml").read_text("utf-8")))


@pytest.fixture
def repository(tmp_path):
    return ModelRepository(tmp_path / "model_repository")


@pytest.fixture
def command(specs, tiny, repository, tmp_path):
    """Runs `python -m export oral_cancer` on the tiny pipeline; gives status and output."""
    torch.save(tiny.state_dict(), tmp_path / "weights.pt")

    def run(*arguments, export=("vgg16", "regnet")):
        if not arguments:
            arguments = [f"--checkpoint={member}={tmp_path / 'weights.pt'}" for member in export]
        places = ["--repository", str(repository.root), "--specs", str(specs)]
        result = CliRunner().invoke(app, ["oral_cancer", *map(str, arguments), *places])
        return result.exit_code, " ".join(result.output.split())

    return run


@pytest.fixture
def publish(specs, tiny, repository):
    """Publishes the next version of members, with words for weights, as an export does."""

    def write(*members):
        whole = load_definition("oral_cancer", specs)
        members = members or ("vgg16", "regnet")
        number = repository.next_version([f"oral_cancer_{member}" for member in members])
        for member in members:
            artefacts.write_version(repository.root, whole, member, number, weights="trained")
        repository.write_configs(whole, "specs/oral_cancer.yaml")
        releases.make(whole, repository, dict.fromkeys(members, number))

    return write


@pytest.fixture
def serving(repository):
    """The release that the launcher would serve now, its files checked."""

    def current(profile=DEFAULT_PROFILE):
        release = Release.current("oral_cancer", profile, repository.root)
        ReleaseFiles(repository.root).verify(release)
        return release

    return current


def test_once_releases_were_changed_an_export_makes_one_that_answers_nobody(
    publish, command, serving, repository
):
    publish()
    before = serving()
    state = ReleaseState(
        pipeline="oral_cancer", profile="default", revision=2, current=before.identity
    )
    state.write(repository.root)
    status, output = command()
    assert (status, serving()) == (0, before)
    (made,) = re.findall(r"python -m releases stage oral_cancer (\S+)", output)
    assert release_path("oral_cancer", made, repository.root).is_file()
    assert kept_configs(Release.read("oral_cancer", made, repository.root), repository.root)
    status, output = command("--use", made)
    assert status == 1
    assert "python -m releases stage" in output
    assert serving() == before


def versions(release):
    return {name: member.version for name, member in release.members.items()}


def test_an_export_says_which_releases_it_made(command, serving):
    status, output = command()
    assert status == 0
    release = serving()
    text = "oral_cancer: release {} of profile {}: vgg16 v1, regnet v1"
    assert text.format(release.identity, "default") in output
    # Of the members of `fast` there is all; of those of `onnx` there is not.
    assert text.format(serving("fast").identity, "fast") in output
    assert "profile onnx" not in output
    assert serving("fast").identity != release.identity


def test_a_failure_between_two_publishes_leaves_the_former_release(
    command, serving, repository, monkeypatch
):
    command()
    before = serving()
    publish = ModelRepository.publish

    def publish_one(self, staged, model, version):
        if model == "oral_cancer_regnet":
            raise RepositoryError("the disk is full")
        return publish(self, staged, model, version)

    with monkeypatch.context() as failing:
        failing.setattr(ModelRepository, "publish", publish_one)
        assert command()[0] == 1
    assert repository.versions("oral_cancer_vgg16") == [1, 2]
    assert serving() == before
    # Neither is it mixed by what brings releases up to date.
    assert command("--configs") == (0, "")
    assert serving() == before
    command()
    assert versions(serving()) == {"vgg16": 3, "regnet": 3}


def test_equal_facts_and_files_give_an_equal_id(command, publish, serving, specs, facts):
    publish()
    before = serving()
    path = specs / "oral_cancer.yaml"
    text = path.read_text()
    facts["threshold"]["default"] = 0.6
    path.write_text(yaml.safe_dump(facts, sort_keys=False))
    _, output = command("--configs")
    after = serving()
    assert after.spec.threshold.default == 0.6
    assert f"release {after.identity} of profile default" in output
    assert after.identity != before.identity
    path.write_text(text)
    command("--configs")
    assert serving() == before


def test_any_config_gives_another_id(command, publish, serving, repository):
    publish()
    spec, before = serving().spec, serving()
    path = repository.root / "oral_cancer_decode" / "config.pbtxt"
    path.write_text(path.read_text() + "# edited\n")
    assert releases.compose(spec, repository).identity != before.identity


def test_a_roll_back_serves_the_former_release_and_stays(command, publish, serving):
    publish()
    before = serving()
    publish()
    assert versions(serving()) == {"vgg16": 2, "regnet": 2}
    status, output = command("--use", before.identity)
    assert status == 0
    assert f"release {before.identity} of profile default: vgg16 v1, regnet v1" in output
    assert serving() == before
    # The profile that was not rolled back keeps its own.
    assert versions(serving("fast")) == {"vgg16": 2, "regnet": 2}
    command("--configs")
    assert serving() == before
    # Publishing one member takes the other as it serves.
    publish("regnet")
    assert versions(serving()) == {"vgg16": 1, "regnet": 3}


def test_a_release_that_cannot_be_served_is_not_used(  # noqa: PLR0917 - fixtures
    command, publish, serving, repository, specs, facts
):
    publish()
    before = serving()
    publish()
    after = serving()
    for unknown in ("1-00000000", "default", "", "../../mhist/releases/1-00000000"):
        status, output = command("--use", unknown)
        assert status == 1
        assert f"no release '{unknown}' of oral_cancer; there are: " in output
        assert before.identity in output
    artefact = repository.root / "oral_cancer_vgg16" / "1" / "model.onnx"
    content = artefact.read_bytes()
    artefact.write_bytes(b"other")
    status, output = command("--use", before.identity)
    assert status == 1
    assert "corrupt or replaced" in output
    artefact.write_bytes(content)
    facts["threshold"]["default"] = 0.6
    (specs / "oral_cancer.yaml").write_text(yaml.safe_dump(facts, sort_keys=False))
    status, output = command("--use", before.identity)
    assert status == 1
    assert "other facts than oral_cancer.yaml now says" in output
    assert serving() == after


def test_configs_that_are_no_text_are_written_anew(command, publish, serving, repository):
    publish()
    before = serving()
    path = repository.root / "oral_cancer_decode" / "config.pbtxt"
    path.write_bytes(b"\xff\xfe")
    status, output = command("--configs")
    assert status == 0
    assert f"wrote {path}" in output
    assert serving() == before
    ReleaseFiles(repository.root).verify(before)


def test_a_file_that_cannot_be_written_is_named(command, publish, repository):
    publish()
    path = repository.root / "oral_cancer_decode" / "config.pbtxt"
    path.unlink()
    path.mkdir()
    status, output = command("--configs")
    assert status == 1
    assert output.startswith("export: ")
    assert f"'{path}'" in output


def test_a_repository_of_before_gets_releases_of_the_newest_versions(
    command, publish, serving, repository
):
    publish()
    publish()
    for path in (repository.root / "oral_cancer" / "releases").iterdir():
        path.unlink()
    command("--configs")
    assert versions(serving()) == {"vgg16": 2, "regnet": 2}


def test_without_the_versions_that_served_the_newest_are_released(
    command, publish, serving, repository
):
    publish()
    publish()
    (repository.root / "oral_cancer_vgg16" / "2").rename(repository.root / "aside")
    assert command("--configs")[0] == 0
    assert versions(serving()) == {"vgg16": 1, "regnet": 2}


def test_a_roll_back_stays_where_this_software_writes_releases_otherwise(
    command, publish, serving, repository
):
    publish()
    before = serving()
    publish()
    command("--use", before.identity)
    path = release_path("oral_cancer", before.identity, repository.root)
    content = json.loads(path.read_text())
    content["spec"]["former"] = True
    path.write_text(json.dumps(content))
    with pytest.raises(ReleaseError, match=r"spec\.former"):
        serving()
    assert command("--configs")[0] == 0
    assert serving() == before


@pytest.fixture
def words(repository):
    """A repository with words for weights, of the onnx profile's members, and all configs."""
    repository.write_configs(load_definition("oral_cancer"), "x.yaml")
    for member in ONNX.members:
        artefacts.write_version(repository.root, ONNX, member)
    return repository


def problem(spec, repository, published=None):
    with pytest.raises(ReleaseError) as raised:
        releases.compose(spec, repository, published or {})
    return str(raised.value)


def test_a_profile_whose_members_are_not_all_there_has_no_release(words):
    assert releases.compose(DEFAULT, words) is None
    made = releases.make(load_definition("oral_cancer"), words)
    assert [release.spec for release in made.made] == [
        load_spec("oral_cancer", profile=name) for name in ("onnx", "openvino", "onnx_fast")
    ]
    assert made.problems == []


def test_a_newer_version_that_is_broken_is_not_passed_over_for_an_older_one(words):
    (words.root / "oral_cancer_vgg16" / "2").mkdir()
    assert "2/manifest.json: missing" in problem(ONNX, words)
    made = releases.make(load_definition("oral_cancer"), words)
    assert made.made == []
    assert made.problems[0].startswith("oral_cancer: no release of profile onnx: ")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"member_hash": "f" * 64}, "another architecture, class order or preprocessing"),
        ({"member": "other"}, "made for member other"),
        ({"pipeline": "other"}, "made for pipeline other"),
        ({"class_map": {"0": "cancer", "1": "healthy"}}, "made for classes"),
    ],
)
def test_a_version_made_from_other_facts_is_not_released(words, changes, message):
    artefacts.write_version(words.root, ONNX, "vgg16", version=2, **changes)
    assert message in problem(ONNX, words)


def test_without_configs_there_is_no_release(words):
    (words.root / "oral_cancer_decision" / "configs" / "onnx.pbtxt").unlink()
    (words.root / "oral_cancer_decision" / "config.pbtxt").unlink()
    assert "run `make configs`" in problem(ONNX, words)


def test_two_forms_that_are_served_come_from_one_checkpoint(words):
    artefacts.write_version(words.root, BOTH, "regnet")
    assert set(releases.compose(BOTH, words).members) == set(BOTH.members)
    artefacts.write_version(words.root, BOTH, "regnet", 2, **OTHER)
    message = problem(BOTH, words)
    assert "regnet v2 and regnet_onnx v1 come from different checkpoints" in message


def test_a_form_of_a_checkpoint_that_was_replaced_since_is_not_released_anew(words):
    whole = load_definition("oral_cancer")
    artefacts.write_version(words.root, DEFAULT, "regnet")
    releases.make(whole, words)
    before = Release.current("oral_cancer", "onnx", words.root)
    artefacts.write_version(words.root, DEFAULT, "regnet", 2, **OTHER, created=LATER)
    made = releases.make(whole, words, {"regnet": 2})
    assert [release.spec.profile for release in made.made] == [
        name
        for name in [DEFAULT_PROFILE, *whole.profiles]
        if "regnet" in whole.resolve(name).members
    ]
    (message,) = [text for text in made.problems if "profile onnx:" in text]
    assert "regnet_onnx v1 and regnet v2 come from different checkpoints" in message
    assert "--profile onnx --checkpoint regnet=FILE" in message
    assert f"Release {before.identity} still is the current one." in message
    assert Release.current("oral_cancer", "onnx", words.root) == before


def test_a_form_of_a_newer_checkpoint_is_released(words):
    artefacts.write_version(words.root, ONNX, "regnet_onnx", 2, **OTHER, created=LATER)
    artefacts.write_version(words.root, DEFAULT, "regnet")
    assert versions(releases.compose(ONNX, words)) == {"vgg16": 1, "regnet_onnx": 2}


def test_the_pointer_is_written_last(words, monkeypatch):
    written = []
    original = releases.atomic_write.write_text
    monkeypatch.setattr(
        releases.atomic_write,
        "write_text",
        lambda path, text: written.append(path) or original(path, text),
    )
    releases.write(releases.compose(ONNX, words), words)
    assert [path.suffix for path in written] == [".json", ".configs", ".current"]
    assert written[-1] == current_path("oral_cancer", "onnx", words.root)
