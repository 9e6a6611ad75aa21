"""What the launcher checks before it loads anything, on files as the export writes them."""

import json
import re
import shutil

import pytest
from tritonclient.grpc import model_config_pb2 as pb

from export import references
from export.repository import ModelRepository
from pipelines import protocol
from pipelines.load import load_definition, load_spec
from pipelines.release import ReleaseError, current_path, release_path
from pipelines.release_files import ReleaseFiles
from pipelines.typicality import reference_path
from server.errors import RefusedPipelineError
from server.releases.verification import verify_release
from tests.references import made
from tests.unit.server.releases import artefacts

SPEC = load_spec("oral_cancer")
MEMBERS = list(SPEC.members)


@pytest.fixture
def repository(tmp_path):
    for model in SPEC.models:
        artefacts.write_config(tmp_path, SPEC, model)
    for member in MEMBERS:
        artefacts.write_version(tmp_path, SPEC, member)
    artefacts.write_release(tmp_path, SPEC)
    return tmp_path


@pytest.fixture
def model(repository):
    """The folder of the first member's model."""
    return repository / protocol.member_model(SPEC.name, MEMBERS[0])


@pytest.fixture
def refusal(repository):
    """Why the launcher does not serve the pipeline."""

    def why() -> str:
        with pytest.raises(RefusedPipelineError) as raised:
            artefacts.verify(repository, SPEC)
        return str(raised.value)

    return why


def parameters(config: pb.ModelConfig) -> dict[str, str]:
    return {key: value.string_value for key, value in config.parameters.items()}


def test_a_good_repository_is_served(repository):
    release = artefacts.verify(repository, SPEC)
    assert list(release.release.members) == MEMBERS
    assert next(iter(release.configs)) == "oral_cancer_decode"
    assert list(release.configs)[-2:] == ["oral_cancer_decision", "oral_cancer"]
    assert release.identity.startswith(f"{SPEC.release}-")
    assert release.demo


def test_versions_that_the_release_does_not_name_are_left_alone(repository, model):
    artefacts.write_version(repository, SPEC, MEMBERS[0], version=9)
    (model / "10").mkdir()
    release = artefacts.verify(repository, SPEC)
    assert release.release.members[MEMBERS[0]].version == 1
    live = release.loadable(model.name, generation=1)
    assert list(live.version_policy.specific.versions) == [1]


def test_another_release_is_served_when_it_is_named(repository, model):
    before = artefacts.verify(repository, SPEC)
    version = artefacts.write_version(repository, SPEC, MEMBERS[0], version=2)
    (current := current_path(SPEC.name, "default", repository)).unlink()
    after = artefacts.write_release(repository, SPEC)
    release = artefacts.verify(repository, SPEC)
    assert (release.identity, release.release.members[MEMBERS[0]].version) == (after.identity, 2)
    current.write_text(f"{before.identity}\n")
    assert artefacts.verify(repository, SPEC).release == before.release
    version.rename(version.with_name("3"))
    assert artefacts.verify(repository, SPEC).release == before.release


def test_the_override_pins_versions_and_names_what_is_served(repository):
    release = artefacts.verify(repository, SPEC)
    sha = {member: release.release.artefact_sha256(member) for member in MEMBERS}
    member = release.loadable(protocol.member_model(SPEC.name, MEMBERS[0]), generation=3)
    assert parameters(member) == {"sha256": sha[MEMBERS[0]], "generation": "3"}
    decision = release.loadable(protocol.decision_model(SPEC.name), generation=1)
    assert parameters(decision) == {
        "release": release.identity,
        "generation": "1",
        "pipeline": SPEC.model_dump_json(),
    }
    ensemble = parameters(release.loadable(SPEC.name, generation=1))
    assert ensemble["release"] == release.identity
    assert json.loads(ensemble["artefacts"]) == {
        member: {"version": "1", "sha256": sha[member], "weights": "demo", "temperature": None}
        for member in MEMBERS
    }


def test_members_whose_backends_measure_are_asked_what_their_passes_spend(repository):
    release = artefacts.verify(repository, SPEC)
    decision = protocol.decision_model(SPEC.name)
    for name in MEMBERS:
        config = release.configs[protocol.member_model(SPEC.name, name)]
        config.backend = SPEC.members[name].format.backend
    for measured in (["vgg16"], MEMBERS, []):
        backends = {SPEC.members[name].format.backend for name in measured}
        asked = {
            name: [
                output.name
                for output in release.loadable(
                    protocol.member_model(SPEC.name, name), 1, backends.__contains__
                ).output
            ]
            for name in MEMBERS
        }
        assert [name for name in MEMBERS if protocol.SPENT in asked[name]] == measured
        told = parameters(release.loadable(decision, 1, backends.__contains__)).get("measured")
        assert json.loads(told or "[]") == measured


def test_a_repository_without_releases_names_the_command_that_makes_them(repository, refusal):
    current_path(SPEC.name, "default", repository).unlink()
    message = refusal()
    assert "default.current: missing: no release: run `make configs`" in message
    assert "python -m export oral_cancer --configs" in message


def test_no_weights_name_the_command_that_makes_them(repository, model, refusal):
    current_path(SPEC.name, "default", repository).unlink()
    shutil.rmtree(model / "1")
    assert "no weights: run `make demo`" in refusal()


def test_a_release_that_is_missing_is_refused_by_its_name(repository, refusal):
    identity = artefacts.verify(repository, SPEC).identity
    release_path(SPEC.name, identity, repository).unlink()
    assert f"{identity}.json: missing" in refusal()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"default": 0.5', '"default": 0.9'),
        ('"weights": "demo"', '"weights": "trained"'),
        ('"version": 1', '"version": 2'),
        ('"title": "', '"title": "Other '),
        ("{", ""),
    ],
)
def test_an_edited_release_is_refused(repository, refusal, old, new):
    path = release_path(SPEC.name, artefacts.verify(repository, SPEC).identity, repository)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    message = refusal()
    assert str(path) in message
    assert "run `make configs`" in message


@pytest.mark.parametrize("content", ["", "\n", "../other", "1-00000000", "\u20ac" * 300])
def test_a_pointer_to_no_release_is_refused(repository, refusal, content):
    current_path(SPEC.name, "default", repository).write_text(content)
    assert "run `make configs`" in refusal()


def test_a_corrupt_artefact_is_refused_by_its_name(model, refusal):
    artefact = model / "1" / SPEC.members[MEMBERS[0]].format.filename
    artefact.write_bytes(artefact.read_bytes()[:-1] + b"?")
    message = refusal()
    assert f"{artefact}: corrupt or replaced" in message
    assert "python -m export oral_cancer --profile default --checkpoint vgg16=FILE" in message


def every_file(repository):
    return [
        path for path in repository.rglob("*") if path.is_file() and "releases" not in str(path)
    ]


def test_any_file_that_is_dropped_is_refused_by_its_name(repository, refusal):
    for path in every_file(repository):
        content = path.read_bytes()
        path.unlink()
        assert str(path) in refusal()
        path.write_bytes(content)
    artefacts.verify(repository, SPEC)


@pytest.mark.parametrize("step", ["oral_cancer", "oral_cancer_decode", "oral_cancer_decision"])
def test_a_step_without_its_version_folder_is_refused_by_its_name(repository, refusal, step):
    folder = repository / step / "1"
    shutil.rmtree(folder)
    assert f"{folder}: missing: run `make configs`" in refusal()


def test_any_byte_of_a_config_counts(repository, refusal):
    configs = list(repository.rglob("*.pbtxt"))
    assert len(configs) == len(SPEC.models)
    for path in configs:
        content = path.read_text()
        path.write_text(content.replace("max_batch_size: 16", "max_batch_size: 8"))
        message = refusal()
        assert str(path) in message
        assert "run `make configs`" in message
        path.write_text(content)
    artefacts.verify(repository, SPEC)


@pytest.mark.parametrize("profile", ["default", "onnx", "gpu"])
def test_any_number_in_any_generated_config_counts(tmp_path, profile):
    spec = load_spec("oral_cancer", profile=profile)
    ModelRepository(tmp_path).write_configs(load_definition("oral_cancer"), "x.yaml")
    for member in spec.members:
        artefacts.write_version(tmp_path, spec, member)
    release = artefacts.write_release(tmp_path, spec)
    artefacts.verify(tmp_path, spec)
    edits = 0
    for name in release.configs:
        path = tmp_path / name
        text = path.read_text()
        for number in list(re.finditer(r"\d+", text))[::5]:
            other = str(int(number[0]) + 1)
            path.write_text(text[: number.start()] + other + text[number.end() :])
            with pytest.raises(ReleaseError, match=f"{name}: corrupt or replaced"):
                ReleaseFiles(tmp_path).verify(release)
            edits += 1
        path.write_text(text)
    assert edits > 30


@pytest.mark.parametrize("name", ["model.plan", ".hidden", "more/"])
def test_a_file_more_in_a_version_is_refused_by_its_name(model, refusal, name):
    path = model / "1" / name
    path.mkdir() if name.endswith("/") else path.touch()
    message = refusal()
    assert str(path) in message
    assert "remove it" in message


@pytest.mark.parametrize("step", ["oral_cancer", "oral_cancer_vgg16", "oral_cancer_decision"])
@pytest.mark.parametrize("link", [False, True])
def test_a_config_more_that_triton_would_prefer_is_refused_by_its_name(
    repository, refusal, step, link
):
    path = repository / step / "configs" / "default.pbtxt"
    path.parent.mkdir()
    path.symlink_to("absent") if link else path.write_text("")
    message = refusal()
    assert str(path) in message
    assert "remove it" in message


def test_configs_of_other_profiles_are_left_alone(repository):
    artefacts.write_config(repository, SPEC, "oral_cancer", "configs/other.pbtxt")
    artefacts.verify(repository, SPEC)


def test_an_artefact_that_changes_after_the_check_is_not_loaded_again(repository, model):
    release = artefacts.verify(repository, SPEC)
    release.verify()
    (model / "1" / SPEC.members[MEMBERS[0]].format.filename).write_bytes(b"other")
    with pytest.raises(RefusedPipelineError, match="corrupt or replaced"):
        release.verify()


def test_each_file_is_hashed_once_until_it_changes(repository, model, monkeypatch):
    hashed = []
    original = artefacts.sha256_of
    monkeypatch.setattr(
        "pipelines.release_files.sha256_of", lambda path: hashed.append(path) or original(path)
    )
    files = ReleaseFiles(repository)
    release = verify_release(SPEC, repository, files)
    release.verify()
    verify_release(SPEC, repository, files)
    assert len(hashed) == len(set(hashed)) == 2 * len(MEMBERS) + len(SPEC.models)
    artefact = model / "1" / SPEC.members[MEMBERS[0]].format.filename
    artefact.write_bytes(artefact.read_bytes())
    release.verify()
    assert hashed[-1] == artefact
    assert len(hashed) == 2 * len(MEMBERS) + len(SPEC.models) + 1


def test_a_manifest_of_another_artefact_is_refused(repository, model, refusal):
    path = model / "1" / "manifest.json"
    path.write_text(path.read_text().replace('"weights":"demo"', '"weights":"trained"'))
    assert f"{path}: is of another artefact" in refusal()


def test_facts_that_changed_since_the_release_are_refused_with_the_remedy(repository):
    threshold = SPEC.threshold.model_copy(update={"default": 0.6})
    changed = SPEC.model_copy(update={"threshold": threshold})
    with pytest.raises(RefusedPipelineError, match=r"other facts than oral_cancer\.yaml now says"):
        artefacts.verify(repository, changed)


@pytest.mark.parametrize("text", ["nonsense {", 'name: "other"'])
def test_a_released_config_that_is_no_config_is_refused_by_its_name(
    repository, model, refusal, text
):
    (model / "config.pbtxt").write_text(text)
    artefacts.write_release(repository, SPEC)
    assert f"{model.name}/config.pbtxt" in refusal()


@pytest.mark.parametrize("step", ["oral_cancer", "oral_cancer_decode", "oral_cancer_decision"])
@pytest.mark.parametrize(
    ("fact", "other"),
    [
        (r"\"default\":0.5", r"\"default\":0.9"),
        (r"\"width\":224", r"\"width\":225"),
        ("bilinear", "bicubic"),
        (r"\"weight\":0.4", r"\"weight\":0.5"),
        ("pipeline", "nothing"),
    ],
    ids=["threshold", "width", "interpolation", "weight", "all"],
)
def test_a_release_of_a_step_of_other_facts_is_refused(repository, refusal, step, fact, other):
    path = repository / step / "config.pbtxt"
    text = path.read_text()
    assert fact in text
    path.write_text(text.replace(fact, other))
    artefacts.write_release(repository, SPEC)
    assert f"{path}: generated from other facts" in refusal()


@pytest.mark.parametrize("damage", ["missing", "changed"])
def test_a_reference_that_is_not_the_release_s_is_not_served(repository, refusal, damage):
    sha256 = references.publish(made(SPEC), repository)
    artefacts.write_release(repository, SPEC)
    release = artefacts.verify(repository, SPEC)
    for model in ("oral_cancer", "oral_cancer_decision"):
        named = json.loads(parameters(release.loadable(model, 0))["reference"])
        assert named["sha256"] == sha256
    assert "reference" not in parameters(release.loadable("oral_cancer_decode", 0))
    path = repository / reference_path(SPEC.name, sha256)
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes() + b" ")
    text = refusal()
    assert path.name in text
    assert "--reference DIR" in text
