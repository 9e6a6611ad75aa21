"""Which pipelines may be served: those that are there, and those that come later."""

import os
import shutil

import pytest

from pipelines.load import FOLDER, load_spec
from pipelines.release import current_path
from server.errors import RefusedPipelineError, UnknownProfileError
from server.releases import discovery
from server.releases.discovery import PipelineDiscovery
from tests.unit.server.releases import artefacts


@pytest.fixture
def folders(tmp_path):
    """A folder of specs with one pipeline, and an empty repository."""
    specs, repository = tmp_path / "specs", tmp_path / "repository"
    specs.mkdir()
    repository.mkdir()
    shutil.copy(FOLDER / "oral_cancer.yaml", specs)
    return specs, repository


@pytest.fixture
def verified(monkeypatch):
    """Verifies a pipeline as soon as its first model has a version; records who was asked."""
    asked = []

    def verify(spec, repository, _files):
        asked.append(spec.name)
        if not list(repository.glob(f"{spec.name}*/1")):
            raise RefusedPipelineError(f"{spec.name}: no weights")
        return spec.name

    monkeypatch.setattr(discovery, "verify_release", verify)
    return asked


def test_a_refused_pipeline_is_not_judged_again_before_its_files_change(folders, verified):
    looks = PipelineDiscovery(*folders, None)
    assert looks.look() == ([], ["oral_cancer: no weights"])
    assert looks.look() == ([], [])
    assert verified == ["oral_cancer"]


def test_weights_that_come_later_are_found_once(folders, verified):
    specs, repository = folders
    looks = PipelineDiscovery(specs, repository, None)
    looks.look()
    (repository / "oral_cancer_vgg16" / "1").mkdir(parents=True)
    assert looks.look() == (["oral_cancer"], [])
    assert looks.look() == ([], [])


def test_a_new_yaml_is_a_new_candidate(folders, verified):
    specs, repository = folders
    looks = PipelineDiscovery(specs, repository, None)
    looks.look()
    (repository / "sixth" / "1").mkdir(parents=True)
    text = (FOLDER / "oral_cancer.yaml").read_text("utf-8")
    (specs / "sixth.yaml").write_text(text.replace("name: oral_cancer", "name: sixth"), "utf-8")
    assert looks.look() == (["sixth"], [])


def test_a_broken_yaml_is_told_once_and_served_when_mended(folders, verified):
    specs, repository = folders
    (repository / "oral_cancer" / "1").mkdir(parents=True)
    path = specs / "oral_cancer.yaml"
    good = path.read_text("utf-8")
    path.write_text("classes: [", "utf-8")
    looks = PipelineDiscovery(specs, repository, None)
    releases, problems = looks.look()
    assert not releases
    assert "not valid YAML" in problems[0]
    path.write_text(good, "utf-8")
    os.utime(path, ns=(1, 1))
    assert looks.look() == (["oral_cancer"], [])


def make_stray(specs, kind):
    """A file in the specs folder that is no pipeline; returns its name without the suffix."""
    match kind:
        case "dangling link":
            (specs / ".#oral_cancer.yaml").symlink_to("somebody@somewhere.123")
            return ".#oral_cancer"
        case "folder":
            (specs / "folder.yaml").mkdir()
            return "folder"
        case "name with a pattern":
            (specs / "a**[b.yaml").write_text("x: [")
            return "a**[b"
        case "loop of links":
            (specs / "loop.yaml").symlink_to("loop.yaml")
            return "loop"
    content = {
        "latin-1": b"title: caf\xe9",
        "key that is a list": b"? [a]\n: b",
        "date that is none": b"release: 2026-99-99",
        "brackets without end": b"[" * 1000,
        "a zero byte": b"\0",
    }[kind]
    (specs / "stray.yaml").write_bytes(content)
    return "stray"


@pytest.mark.parametrize("when", ["at the start", "while running"])
@pytest.mark.parametrize(
    "kind",
    [
        "dangling link",
        "folder",
        "name with a pattern",
        "loop of links",
        "latin-1",
        "key that is a list",
        "date that is none",
        "brackets without end",
        "a zero byte",
    ],
)
def test_a_stray_file_is_told_once_and_the_others_are_served(folders, verified, kind, when):
    specs, repository = folders
    (repository / "oral_cancer" / "1").mkdir(parents=True)
    looks = PipelineDiscovery(specs, repository, None)
    if when == "while running":
        assert looks.look() == (["oral_cancer"], [])
    name = make_stray(specs, kind)
    looks.require_profile()
    releases, problems = looks.look()
    assert releases == (["oral_cancer"] if when == "at the start" else [])
    assert [str(specs / f"{name}.yaml") in problem for problem in problems] == [True]
    assert looks.look() == ([], [])


def test_only_what_was_asked_for_is_a_candidate(folders, verified):
    specs, repository = folders
    (repository / "oral_cancer" / "1").mkdir(parents=True)
    releases, problems = PipelineDiscovery(specs, repository, ["absent"]).look()
    assert not releases
    assert "no pipeline 'absent'" in problems[0]


def test_each_pipeline_is_served_under_the_profile_if_it_has_it(folders, monkeypatch):
    specs, repository = folders
    shutil.copy(FOLDER / "mhist.yaml", specs)
    verified = {}
    monkeypatch.setattr(
        discovery, "verify_release", lambda spec, *_: verified.update({spec.name: spec})
    )
    looks = PipelineDiscovery(specs, repository, None, "onnx")
    looks.require_profile()
    looks.look()
    assert {name: spec.profile for name, spec in verified.items()} == {
        "oral_cancer": "onnx",
        "mhist": "default",
    }


def test_a_profile_that_none_has_is_refused_with_those_that_there_are(folders):
    specs, repository = folders
    with pytest.raises(UnknownProfileError, match=r"'swift'; there are: default, onnx"):
        PipelineDiscovery(specs, repository, None, "swift").require_profile()
    # What is not there yet is no reason to refuse; what it needs is told by the first look.
    PipelineDiscovery(specs, repository, ["absent"]).require_profile()


def test_a_config_of_a_profile_that_comes_later_is_noticed(folders, verified):
    specs, repository = folders
    model = repository / "oral_cancer"
    model.mkdir()
    looks = PipelineDiscovery(specs, repository, None)
    looks.look()
    (model / "configs").mkdir()
    looks.look()
    assert verified == ["oral_cancer"] * 2


def test_a_copy_that_is_finished_later_is_served(folders):
    specs, repository = folders
    spec = load_spec("oral_cancer", specs)
    for model in spec.models:
        artefacts.write_config(repository, spec, model)
    for member in spec.members:
        artefacts.write_version(repository, spec, member)
    artefacts.write_release(repository, spec)
    artefact = repository / "oral_cancer_vgg16" / "1" / "model.onnx"
    content = artefact.read_bytes()
    with artefact.open("wb") as copy:
        copy.write(content[:4])
        copy.flush()
        looks = PipelineDiscovery(specs, repository, None)
        releases, (problem,) = looks.look()
        assert not releases
        assert f"{artefact}: corrupt or replaced" in problem
        assert looks.look() == ([], [])
        copy.write(content[4:])
    ((release,), problems) = looks.look()
    assert (release.spec, problems) == (spec, [])


def test_another_release_that_is_named_later_is_left_to_the_next_start(folders):
    specs, repository = folders
    spec = load_spec("oral_cancer", specs)
    for model in spec.models:
        artefacts.write_config(repository, spec, model)
    for member in spec.members:
        artefacts.write_version(repository, spec, member)
    artefacts.write_release(repository, spec)
    looks = PipelineDiscovery(specs, repository, None)
    ((release,), _) = looks.look()
    current_path("oral_cancer", "default", repository).write_text("1-00000000")
    assert looks.look() == ([], [])
    release.verify()
