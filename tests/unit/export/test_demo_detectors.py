"""`--demo` of detectors, whose checkpoints are a folder, or a file with another beside it."""

import pytest
from typer.testing import CliRunner

from demo import training
from demo.outcome import DemoReport
from export.__main__ import app
from export.repository import ModelRepository
from pipelines import protocol
from pipelines.load import load_spec
from tests import detector_checkpoints


@pytest.mark.parametrize("name", ["object_detection", "cervical_lesions"])
def test_a_detectors_demo_is_made_where_there_is_none_and_once(name, tmp_path, monkeypatch):
    trained = []

    def train(whole, folder, *_):
        trained.append(whole.name)
        files = detector_checkpoints.make(load_spec(whole.name), folder)
        return DemoReport(files=files, figures={}, held_out=1)

    monkeypatch.setattr(training, "train", train)
    repository = ModelRepository(tmp_path / "model_repository")
    command = [name, "--demo", "--if-missing", f"--repository={repository.root}"]
    for _ in range(2):
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 0, result.output
    (member,) = load_spec(name).members
    assert repository.versions(protocol.member_model(name, member)) == [1]
    assert trained == [name]
