"""`python -m export`: which arguments go together, and what is said where they do not."""

import shutil
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from export.__main__ import app
from pipelines.load import FOLDER, available


@pytest.fixture
def export(tmp_path):
    """Runs the command into an empty model repository; gives exit status and what it printed."""

    def run(*arguments):
        places = ["--repository", str(tmp_path / "repository")]
        result = CliRunner().invoke(app, [*map(str, arguments), *places])
        return result.exit_code, result.output

    return run


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["oral_cancer"],
        ["all", "--checkpoint", "vgg16=a.pt"],
        ["oral_cancer,mhist", "--checkpoint", "vgg16=a.pt"],
        ["oral_cancer", "--checkpoint", "vgg16"],
        ["oral_cancer", "--checkpoint", "vgg16=a.pt", "--checkpoint", "vgg16=b.pt"],
    ],
)
def test_arguments_that_do_not_go_together_are_a_usage_error(export, arguments):
    status, _ = export(*arguments)
    assert status == 2


def test_an_unknown_pipeline_lists_the_known_ones(export):
    status, output = export("nothing", "--checkpoint", "fp32=absent.pt")
    assert status == 1
    assert "no pipeline 'nothing'" in output
    assert "snake_species" in output


def test_configs_are_written_for_all_some_or_one(export, tmp_path):
    for argument, names in {
        "mhist": ["mhist"],
        "oral_cancer,snake_species": ["oral_cancer", "snake_species"],
        "all": available(),
    }.items():
        status, output = export(argument, "--configs")
        assert status == 0
        for name in names:
            assert (tmp_path / "repository" / name / "config.pbtxt").is_file()
            if argument == "all" and name in {"cervical_lesions", "object_detection"}:
                assert f"{name}/config.pbtxt" in output.replace("\n", "")


@pytest.mark.parametrize("argument", [None, "all", "stray,oral_cancer", "oral_cancer, stray"])
def test_a_pipeline_that_cannot_be_read_is_named_and_the_others_get_configs(
    export, tmp_path, argument
):
    specs = tmp_path / "pipelines"
    specs.mkdir()
    (specs / ".#oral_cancer.yaml").symlink_to("nowhere")
    (specs / "stray.yaml").write_bytes(b"\xff\xfe")
    shutil.copy(FOLDER / "oral_cancer.yaml", specs)
    status, output = export(*filter(None, [argument]), "--configs", "--specs", specs)
    assert status == 1
    assert f"{specs / 'stray.yaml'}: not valid YAML" in output
    assert (tmp_path / "repository" / "oral_cancer" / "config.pbtxt").is_file()


def test_a_class_map_is_compared_before_anything_is_converted(export, tmp_path):
    path = tmp_path / "class_map.json"
    path.write_text('{"0": "Naja naja", "1": "Vipera berus"}')
    status, output = export("snake_species", "--checkpoint", "fp32=absent.pt", "--class-map", path)
    assert status == 1
    assert f"{path}: names other classes than snake_species.yaml" in output.replace("\n", "")
    assert "- Naja naja\n- Vipera berus" in output
    assert not (tmp_path / "repository").exists()


def test_an_int8_member_without_proof_is_refused_before_its_checkpoint_is_read(export):
    status, output = export("snake_species", "--checkpoint", "fp32=absent.pt")
    assert status == 1
    assert "--calibration DIR" in output
    assert "--validation DIR" in output


@pytest.mark.parametrize("checkpoint", [[], ["--checkpoint", "vgg16=absent.pt"]])
def test_a_reference_without_a_version_of_its_member_is_refused_before_anything_is_written(
    export, tmp_path, checkpoint
):
    status, output = export("oral_cancer", *checkpoint, "--reference", tmp_path)
    assert status == 1
    assert "regnet has no version to take features from: give --checkpoint regnet=FILE" in (
        " ".join(output.split())
    )
    assert not (tmp_path / "repository").exists()


@pytest.mark.parametrize("command", ["export", "demo"])
def test_starting_a_command_does_not_import_torch(command):
    code = f"import sys, {command}.__main__; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
