"""A release's document: one id for one content, and what is no release is refused."""

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
    member = ReleasedMember(version=1, weights="trained", files={"model.onnx": "a" * 64})
    facts = {
        "spec": SPEC,
        "members": {"vgg16": member, "regnet": member},
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
    one = release().members["vgg16"]
    changes = [
        {},
        {"spec": SPEC.model_copy(update={"threshold": threshold})},
        {"spec": load_spec("oral_cancer", profile="fast")},
        {"members": {"vgg16": one.model_copy(update={"version": 2}), "regnet": one}},
        {
            "members": {
                "vgg16": one.model_copy(update={"files": {"model.onnx": "c"}}),
                "regnet": one,
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


def test_without_a_release_the_remedy_is_named(tmp_path):
    with pytest.raises(NoReleaseError, match=r"run `make configs` \(python -m export oral_cancer"):
        Release.current("oral_cancer", "default", tmp_path)
