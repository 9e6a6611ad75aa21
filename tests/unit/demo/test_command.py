"""`python -m demo`: what it exports of the committed checkpoints, and when."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml
from typer.testing import CliRunner

from demo import calibration, expansion, references, rounding
from demo.__main__ import Demo, app
from export import releases
from export.__main__ import app as export_app
from export.references import publish
from export.repository import ModelRepository
from inference.typicality import Reference
from pipelines import protocol
from pipelines.load import FOLDER, load_definition, load_spec
from pipelines.manifest import Manifest, sha256_of
from pipelines.release import Release
from pipelines.typicality import reference_path
from tests import detector_checkpoints
from tests.unit.export.conftest import Tiny, tiny_members


@pytest.fixture
def facts():
    """All that the YAML of oral_cancer says, with tiny networks."""
    return tiny_members(yaml.safe_load((FOLDER / "oral_cancer.yaml").read_text("utf-8")))


@pytest.fixture
def repository(tmp_path):
    return ModelRepository(tmp_path / "model_repository")


@pytest.fixture
def committed(tmp_path, tiny, monkeypatch):
    """A folder of small checkpoints in place of demo/checkpoints; each member has other weights."""
    folder = tmp_path / "checkpoints" / "oral_cancer"
    for name in ("vgg16", "regnet"):
        rounded(folder / f"{name}.safetensors")
    monkeypatch.setattr(expansion, "CHECKPOINTS", folder.parent)
    monkeypatch.setattr(references, "CHECKPOINTS", folder.parent)
    monkeypatch.setattr(calibration, "CHECKPOINTS", folder.parent)
    return folder


def rounded(path):
    model = Tiny(2)
    rounding.round_weights(model)
    rounding.write(model, path, ("healthy", "cancer"))


@pytest.fixture
def demo(specs, repository, committed):
    """Runs the command on the tiny pipeline; gives exit status and what it printed."""

    def run(*arguments):
        places = ["--repository", str(repository.root), "--specs", str(specs)]
        result = CliRunner().invoke(app, ["oral_cancer", *arguments, *places])
        return result.exit_code, " ".join(result.output.split())

    return run


def versions(repository):
    """Version numbers by member, of those that have any."""
    found = {
        path.name.removeprefix("oral_cancer_"): repository.versions(path.name)
        for path in repository.root.glob("oral_cancer_*")
    }
    steps = {"decode", "decision"}
    return {name: numbers for name, numbers in found.items() if numbers and name not in steps}


def test_what_is_exported_calls_itself_a_demo(demo, repository):
    assert demo()[0] == 0
    assert versions(repository) == {"vgg16": [1], "regnet": [1]}
    for name in ("vgg16", "regnet"):
        assert Manifest.read(repository.root / f"oral_cancer_{name}" / "1").weights == "demo"


def test_if_missing_exports_once(demo, repository):
    for _ in range(2):
        assert demo("--if-missing")[0] == 0
    assert versions(repository) == {"vgg16": [1], "regnet": [1]}


def test_another_profile_gets_only_the_members_it_lacks(demo, repository):
    assert demo("--if-missing")[0] == 0
    assert demo("--if-missing", "--profile", "onnx")[0] == 0
    assert versions(repository) == {"vgg16": [1], "regnet": [1], "regnet_onnx": [1]}


def test_a_member_of_other_checkpoints_is_exported_anew_beside_one_that_is_missing(
    demo, repository, committed
):
    assert demo("--if-missing")[0] == 0
    rounded(committed / "vgg16.safetensors")
    assert demo("--if-missing", "--profile", "onnx")[0] == 0
    assert versions(repository) == {"vgg16": [1, 2], "regnet": [1], "regnet_onnx": [2]}


def test_no_demo_is_exported_beside_trained_weights(demo, repository, specs, tiny, tmp_path):
    torch.save(tiny.state_dict(), tmp_path / "trained.pt")
    places = ["--repository", str(repository.root), "--specs", str(specs)]
    given = f"--checkpoint=regnet={tmp_path / 'trained.pt'}"
    assert CliRunner().invoke(export_app, ["oral_cancer", given, *places]).exit_code == 0
    status, output = demo("--if-missing", "--profile", "onnx")
    assert status == 1
    assert "regnet has trained weights" in output
    assert "--profile onnx --checkpoint vgg16=FILE --checkpoint regnet=FILE" in output
    assert versions(repository) == {"regnet": [1]}


def test_a_checkpoint_that_names_other_classes_is_refused(demo, committed):
    rounding.write(Tiny(2), committed / "vgg16.safetensors", ("cancer", "cat"))
    status, output = demo()
    assert status == 1
    assert "vgg16.safetensors" in output
    assert "cat" in output


def test_a_member_without_a_committed_checkpoint_is_named(demo, committed):
    (committed / "regnet.safetensors").unlink()
    status, output = demo()
    assert status == 1
    assert "has no demo weights of regnet" in output
    assert "--checkpoint regnet=FILE" in output


def test_an_unknown_pipeline_or_profile_lists_the_known_ones(demo):
    status, output = demo("--profile", "swift")
    assert status == 1
    assert "profile 'swift'; there are: default, onnx" in output
    result = CliRunner().invoke(app, ["nothing"])
    assert result.exit_code == 1
    assert "no pipeline 'nothing'" in result.output


@pytest.mark.parametrize("argument", ["all", "nothing,oral_cancer"])
def test_a_pipeline_that_cannot_be_read_is_named_and_the_others_are_exported(
    specs, repository, committed, argument
):
    (specs / "stray.yaml").symlink_to("nowhere")
    places = ["--repository", str(repository.root), "--specs", str(specs)]
    result = CliRunner().invoke(app, [argument, *places])
    assert result.exit_code == 1
    stray = "stray.yaml: cannot be read" if argument == "all" else "no pipeline 'nothing'"
    assert stray in result.output
    assert versions(repository) == {"vgg16": [1], "regnet": [1]}


def test_a_version_of_each_member_is_enough_for_if_missing(tmp_path, monkeypatch):
    names = ["mhist", "snake_species"]
    for name in names:
        for member in load_spec(name).members:
            (tmp_path / protocol.member_model(name, member) / "1").mkdir(parents=True)
    monkeypatch.setattr(Demo, "_publish", lambda *_: pytest.fail("exported again"))
    # A release would be made of what the versions hold, and these hold nothing.
    monkeypatch.setattr(Demo, "_publish_references", lambda *_: None)
    command = [",".join(names), "--if-missing", "--repository", str(tmp_path)]
    assert CliRunner().invoke(app, command).exit_code == 0


@pytest.mark.parametrize("name", ["object_detection", "cervical_lesions"])
def test_a_detector_is_exported_as_it_was_trained_and_once(name, repository, tmp_path, monkeypatch):
    spec = load_spec(name)
    (tmp_path / "checkpoints").mkdir()
    folder = tmp_path / "checkpoints" / name
    folder.mkdir()
    (member,) = spec.members
    made = detector_checkpoints.make(spec, folder)[member]
    monkeypatch.setattr(expansion, "CHECKPOINTS", folder.parent)
    monkeypatch.setattr(references, "CHECKPOINTS", folder.parent)
    monkeypatch.setattr(calibration, "CHECKPOINTS", folder.parent)
    if made.is_file():
        monkeypatch.setattr(expansion, "_small", lambda *_: made)
    command = [name, "--if-missing", f"--repository={repository.root}"]
    for _ in range(2):
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 0, result.output
    assert repository.versions(protocol.member_model(name, member)) == [1]


@pytest.fixture
def reference(committed, specs):
    """A reference of numbers out of the air, committed for the tiny checkpoint."""
    whole = load_definition("oral_cancer", specs)
    random = np.random.default_rng(0)
    origin = {
        "pipeline": "oral_cancer",
        "photos": 1000,
        "photos_sha256": "ab" * 32,
        "preprocessing_sha256": whole.picture_hash,
    }
    made = Reference.fit(random.normal(size=(1000, 34)), random.normal(size=(1000, 4)), origin)
    made.save(committed / "typicality_fp32.npz")
    said = {
        "sha256": sha256_of(committed / "typicality_fp32.npz"),
        "checkpoint": references.checkpoint_digest(whole),
    }
    (committed / references.FILENAME).write_text(json.dumps({"fp32": said}), "utf-8")
    return made


def served(repository, profile="default"):
    return Release.current("oral_cancer", profile, repository.root).reference


def test_the_release_of_demo_weights_has_the_committed_reference(demo, repository, reference):
    assert demo("--if-missing")[0] == 0
    named = served(repository)
    assert named.origin.photos == 1000
    folder = repository.root / "oral_cancer_regnet" / "1"
    assert named.origin.checkpoint_sha256 == Manifest.read(folder).checkpoint_sha256
    path = repository.root / reference_path("oral_cancer", named.sha256)
    assert np.array_equal(Reference.load(path).scores, reference.scores)
    # Formats of one precision share it.
    assert demo("--if-missing", "--profile", "onnx")[0] == 0
    assert served(repository, "onnx") == named


@pytest.mark.usefixtures("reference")
def test_a_reference_of_the_users_own_stays(demo, repository, specs):
    assert demo("--if-missing")[0] == 0
    first = served(repository)
    path = repository.root / reference_path("oral_cancer", first.sha256)
    own = replace(Reference.load(path), photos=np.arange(3, dtype=np.uint64))
    sha256 = publish(own, repository.root)
    whole = load_definition("oral_cancer", specs)
    releases.make(whole, repository, new_references=[sha256])
    assert demo("--if-missing")[0] == 0
    assert served(repository).sha256 == sha256
    assert demo()[0] == 0
    assert served(repository) == first


@pytest.mark.usefixtures("reference")
def test_a_reference_of_another_checkpoint_is_named_and_not_served(demo, repository, committed):
    rounded(committed / "regnet.safetensors")
    status, output = demo("--if-missing")
    assert status == 1
    assert "typicality_fp32.npz: is not of the committed checkpoint: run python -m demo" in output
    assert served(repository) is None


def test_what_the_embedded_triton_takes_is_exported_for_it(demo, repository):
    assert demo("--if-missing", "--profile", "embedded")[0] == 0
    assert versions(repository) == {"vgg16": [1], "regnet_onnx": [1]}


def test_trained_weights_of_the_default_are_enough_for_the_embedded_triton(
    demo, repository, specs, tiny, tmp_path
):
    torch.save(tiny.state_dict(), tmp_path / "trained.pt")
    places = ["--repository", str(repository.root), "--specs", str(specs)]
    given = [f"--checkpoint={name}={tmp_path / 'trained.pt'}" for name in ("vgg16", "regnet")]
    assert CliRunner().invoke(export_app, ["oral_cancer", *given, *places]).exit_code == 0
    assert demo("--if-missing", "--profile", "embedded")[0] == 0
    assert versions(repository) == {"vgg16": [1], "regnet": [1]}
