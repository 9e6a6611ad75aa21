"""What an export that was killed leaves behind is removed by the next one; nothing else is."""

import subprocess
import sys

import pytest

from export.repository import ModelRepository

_STAGES = """
import sys
from pathlib import Path
from export.repository import ModelRepository
with ModelRepository(Path(sys.argv[1])).staging() as folder:
    (folder / "model.onnx").write_bytes(b"half")
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def repository(tmp_path):
    return ModelRepository(tmp_path / "model_repository")


@pytest.fixture
def exporting(repository):
    """Another process in the middle of an export, and its folder."""
    command = [sys.executable, "-c", _STAGES, str(repository.root)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        name = process.stdout.readline().strip()
        yield process, repository.root / name
        process.kill()


def test_the_staging_of_a_killed_export_is_removed_by_the_next(repository, exporting):
    process, left = exporting
    process.kill()
    process.wait()
    assert (left / "model.onnx").is_file()
    with repository.staging() as own:
        assert list(repository.root.iterdir()) == [own]
    assert list(repository.root.iterdir()) == []


def test_the_staging_of_a_running_export_stays(repository, exporting):
    _, other = exporting
    with repository.staging() as own:
        assert set(repository.root.iterdir()) == {own, other}
        assert (other / "model.onnx").is_file()
    assert list(repository.root.iterdir()) == [other]


def test_two_exports_of_one_process_leave_each_other_alone(repository):
    with repository.staging() as first, repository.staging() as second:
        assert set(repository.root.iterdir()) == {first, second}


def test_a_file_with_such_a_name_and_other_folders_stay(repository):
    (repository.root / "oral_cancer_vgg16" / "1").mkdir(parents=True)
    (repository.root / ".staging-notes").write_text("mine")
    with repository.staging():
        pass
    assert {path.name for path in repository.root.iterdir()} == {
        "oral_cancer_vgg16",
        ".staging-notes",
    }
