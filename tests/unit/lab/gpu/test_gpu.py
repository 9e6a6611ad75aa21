"""The roofline's arithmetic, and the whole script on a CPU."""

import json

import pytest
import torch
import typer.testing
from torch import nn

from lab.gpu import __main__ as command
from lab.gpu.decoding import cores
from lab.gpu.member import Work, work
from lab.gpu.roofline import Roofline
from lab.gpu.run import in_turn
from lab.load.photos import ensure


def invoke(*arguments):
    app = typer.Typer()
    app.command()(command.main)
    return typer.testing.CliRunner().invoke(app, list(arguments))


def test_the_tighter_limit_counts():
    roofline = Roofline(flops=1e12, bandwidth=1e9)
    assert roofline.seconds(2e12, 1e9) == 2
    assert roofline.bound(2e12, 1e9) == "arithmetic"
    assert roofline.seconds(1e9, 4e9) == 4
    assert roofline.bound(1e9, 4e9) == "memory"


def test_work_is_counted_from_the_network():
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 16, 2)
    )
    found = work(model.eval(), torch.zeros(1, 3, 4, 4))
    assert found.flops == 2 * (16 * 8 * 3 * 9) + 2 * (128 * 2)
    assert found.activation_bytes == 4 * (48 + 128 + 128 + 2)
    assert found.weight_bytes == 4 * (8 * 27 + 8 + 128 * 2 + 2)


def test_weights_are_read_once_for_a_batch():
    assert Work(1, activation_bytes=10, weight_bytes=100).bytes_of(8) == 180


def test_members_in_turn_are_slower_than_each():
    assert in_turn([100.0]) == pytest.approx(100)
    assert in_turn([100.0, 100.0]) == pytest.approx(50)


def test_cores_are_whole():
    assert (cores(1000, 300), cores(900, 300)) == (4, 3)


def test_without_cuda_it_says_so_and_exits_with_2(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    result = invoke()
    assert result.exit_code == 2
    assert "finds no CUDA device" in result.output
    assert "CUDA build of torch" in " ".join(result.output.split())


@pytest.mark.parametrize("batches", ["none", "0", ""])
def test_batches_that_are_none_are_named(batches):
    result = invoke("--device", "cpu", "--batches", batches)
    assert result.exit_code == 1
    assert "--batches" in result.output


def test_a_detector_is_refused():
    result = invoke("--device", "cpu", "--pipeline", "object_detection")
    assert result.exit_code == 1
    assert "no classification" in result.output


def test_the_whole_script_runs_on_a_cpu(tmp_path, monkeypatch):
    monkeypatch.setattr(command.photos, "ensure", lambda _: ensure(tmp_path / "photos"))
    monkeypatch.setattr("lab.load.photos.PHOTOS", 2)
    page = tmp_path / "gpu.md"
    result = invoke(
        "--device", "cpu", "--architectures", "mobilenetv3_small_100", "--batches", "1,2",
        "--output", str(page),
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    facts = json.loads(page.with_suffix(".json").read_text())
    assert [each["batch"] for each in facts["members"][0]["points"]] == [1, 2]
    # 56.5 million multiplications and additions: Howard et al., "Searching for MobileNetV3".
    assert facts["members"][0]["gigaflops"] == pytest.approx(0.113, rel=0.05)
    assert facts["teraflops"] > 0
    assert facts["ensemble"] == []
    assert facts["ensemble_missing"] == "it runs on a GPU only"
    text = page.read_text()
    assert "mobilenetv3_small_100" in text
    assert "was not measured: it runs on a GPU only" in text
