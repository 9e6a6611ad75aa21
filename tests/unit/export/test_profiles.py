"""`--profile`: which members an export makes, and of what."""

import pytest
import torch
import yaml
from typer.testing import CliRunner

from export.__main__ import app
from export.errors import UnknownMemberError
from export.plan import plan
from export.repository import ModelRepository
from pipelines.load import FOLDER, load_definition
from pipelines.manifest import Manifest, sha256_of
from tests.unit.export.conftest import tiny_members


@pytest.fixture
def facts():
    """All that the YAML says, profiles and their members included."""
    return tiny_members(yaml.safe_load((FOLDER / "oral_cancer.yaml").read_text("utf-8")))


@pytest.fixture
def whole(specs, tiny):
    return load_definition("oral_cancer", specs)


@pytest.fixture
def repository(tmp_path):
    return ModelRepository(tmp_path / "model_repository")


@pytest.fixture
def weights(tiny, tmp_path):
    """A checkpoint for each member, with other bytes each."""
    paths = {}
    for name in ("vgg16", "regnet"):
        paths[name] = tmp_path / f"{name}.pt"
        torch.save({"state_dict": tiny.state_dict(), "weights": "demo", "of": name}, paths[name])
    return paths


@pytest.fixture
def command(specs, repository):
    """Runs `python -m export` on the tiny pipeline; gives exit status and what it printed."""

    def run(*arguments):
        places = ["--repository", str(repository.root), "--specs", str(specs)]
        result = CliRunner().invoke(app, [*map(str, arguments), *places])
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


def test_a_checkpoint_makes_each_form_of_it(whole, weights):
    planned = plan(whole, weights, whole.resolve("onnx").members)
    assert planned.published == ["vgg16", "regnet_onnx"]
    assert planned.converted == {"vgg16": weights["vgg16"], "regnet_onnx": weights["regnet"]}
    assert planned.quantised == []


def test_an_int8_member_is_made_of_its_original_which_is_not_published(whole, weights):
    planned = plan(whole, {"regnet": weights["regnet"]}, ["regnet_int8"])
    assert planned.published == planned.quantised == ["regnet_int8"]
    assert planned.converted == {"regnet_onnx": weights["regnet"]}


def test_another_form_takes_no_checkpoint_of_its_own(whole, weights):
    with pytest.raises(UnknownMemberError, match="Give --checkpoint regnet=FILE"):
        plan(whole, {"regnet_onnx": weights["regnet"]})


def test_a_checkpoint_of_which_the_profile_serves_nothing_is_refused(whole, weights):
    with pytest.raises(UnknownMemberError, match="nothing is made from the checkpoint of regnet"):
        plan(whole, weights, ["vgg16"])


def test_the_command_exports_what_the_profile_serves(command, repository, weights):
    given = [f"--checkpoint={name}={path}" for name, path in weights.items()]
    status, _ = command("oral_cancer", "--profile", "onnx", *given)
    assert status == 0
    assert versions(repository) == {"vgg16": [1], "regnet_onnx": [1]}
    folder = repository.root / "oral_cancer_regnet_onnx" / "1"
    assert Manifest.read(folder).checkpoint_sha256 == sha256_of(weights["regnet"])


def test_a_profile_that_is_not_there_is_an_error_with_those_that_are(command, weights):
    given = f"--checkpoint=vgg16={weights['vgg16']}"
    status, output = command("oral_cancer", "--profile", "swift", given)
    assert status == 1
    assert "profile 'swift'; there are: default, onnx" in output
