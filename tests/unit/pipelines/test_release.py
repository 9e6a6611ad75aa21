"""A release's document: one id for one content, and what is no release is refused."""

import json

import pytest

from pipelines.load import load_spec
from pipelines.release import (
    NoReleaseError,
    Release,
    ReleasedMember,
    ReleaseError,
    current_path,
    release_path,
)

SPEC = load_spec("oral_cancer")


def release(**changes):
    vgg16, regnet = (
        ReleasedMember(version=1, weights="trained", files={file: "a" * 64})
        for file in ("model.onnx", "model.pt")
    )
    facts = {
        "spec": SPEC,
        "members": {"vgg16": vgg16, "regnet": regnet},
        "configs": {"oral_cancer/config.pbtxt": "b" * 64},
    }
    return Release(**facts | changes)


@pytest.fixture
def written(tmp_path):
    """Writes a release and lets it serve; returns its path."""

    def write(one):
        path = release_path("oral_cancer", one.identity, tmp_path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(one.text)
        current_path("oral_cancer", "default", tmp_path).write_text(one.identity)
        return path

    return write


def test_a_release_is_read_back_as_it_was_written(written, tmp_path):
    written(release())
    assert Release.current("oral_cancer", "default", tmp_path) == release()
    assert release().identity == release().identity
    assert release().identity.startswith("1-")
    assert release().artefact_sha256("vgg16") == "a" * 64


def test_facts_versions_artefacts_and_configs_each_give_another_id():
    threshold = SPEC.threshold.model_copy(update={"default": 0.4})
    one, regnet = release().members["vgg16"], release().members["regnet"]
    changes = [
        {},
        {"spec": SPEC.model_copy(update={"threshold": threshold})},
        {"spec": load_spec("oral_cancer", profile="fast")},
        {"members": {"vgg16": one.model_copy(update={"version": 2}), "regnet": regnet}},
        {
            "members": {
                "vgg16": one.model_copy(update={"files": {"model.onnx": "c"}}),
                "regnet": regnet,
            }
        },
        {"configs": {"oral_cancer/config.pbtxt": "c" * 64}},
        {"configs": {"oral_cancer/configs/default.pbtxt": "b" * 64}},
    ]
    assert len({release(**change).identity for change in changes}) == len(changes)


def test_an_edited_release_is_refused_with_the_id_that_it_has(written, tmp_path):
    path = written(release())
    path.write_text(path.read_text().replace('"version": 1', '"version": 2', 1))
    with pytest.raises(ReleaseError, match=r"its content is that of release 1-[0-9a-f]{8} of"):
        Release.current("oral_cancer", "default", tmp_path)


def test_a_release_under_another_name_is_refused(written, tmp_path):
    path = written(release())
    path.rename(path.with_name("1-00000000.json"))
    with pytest.raises(ReleaseError, match="edited, renamed or written by another version"):
        Release.read("oral_cancer", "1-00000000", tmp_path)


def test_a_release_of_another_profile_is_refused(written, tmp_path):
    written(release(spec=load_spec("oral_cancer", profile="fast")))
    with pytest.raises(ReleaseError, match="a release of profile fast: name one of profile def"):
        Release.current("oral_cancer", "default", tmp_path)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"spec": 1}', "\xff"])
def test_what_is_no_release_is_refused_by_its_name(written, tmp_path, text):
    path = written(release())
    path.write_text(text, "latin-1")
    with pytest.raises(ReleaseError, match=path.name):
        Release.current("oral_cancer", "default", tmp_path)


def test_a_release_names_the_artefact_of_each_member_and_no_others(written, tmp_path):
    spec = SPEC.model_dump(mode="json")
    file = {name: {"version": 1, "weights": "demo", "files": {}} for name in ("vgg16", "regnet")}
    whole = {"spec": spec, "members": file, "configs": {}}
    path = written(release())
    for members, problem in {
        "": "members: are not those of the spec",
        "vgg16": "members: are not those of the spec",
        "vgg16 regnet": "members.vgg16.files: do not name the artefact",
        "vgg16 regnet vgg16_fp16": "members: are not those of the spec",
    }.items():
        named = dict.fromkeys(members.split(), file["vgg16"])
        path.write_text(json.dumps(whole | {"members": named}))
        with pytest.raises(ReleaseError, match=problem):
            Release.current("oral_cancer", "default", tmp_path)


def test_without_a_release_the_remedy_is_named(tmp_path):
    with pytest.raises(NoReleaseError, match=r"run `make configs` \(python -m export oral_cancer"):
        Release.current("oral_cancer", "default", tmp_path)
