"""`python -m demo.weights`: new trainings are compared with what is committed, or kept."""

import pytest
import typer

from demo import training, weights
from demo.figures import Figures, Trained
from pipelines.load import load_spec


@pytest.fixture
def checkpoints(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "CHECKPOINTS", tmp_path)
    return tmp_path


@pytest.fixture
def trained(monkeypatch):
    """Stands in for a training of minutes; gives the figures that it shall measure."""
    figures = {"`vit`": 0.95, "members opposed": 0.1}

    def train(_spec, folder, seed, _on_progress):
        folder.mkdir(parents=True)
        (folder / "vit.safetensors").write_text(f"of seed {seed}")
        files = {"vit": folder / "vit.safetensors"}
        return Trained(files, dict(figures), 500, 1000, {"vit": {"epochs": 2, "crop": None}})

    monkeypatch.setattr(training, "train", train)
    return figures


def status(*, keep, seed=None):
    with pytest.raises(typer.Exit) as ended:
        weights.main("mhist", keep=keep, seed=seed)
    return ended.value.exit_code


@pytest.mark.usefixtures("trained")
def test_kept_weights_lie_beside_their_figures(checkpoints):
    assert status(keep=True, seed=3) == 0
    made = Figures.read(checkpoints / "mhist")
    assert (made.pipeline, made.seed, made.drawings, made.held_out) == ("mhist", 3, 1000, 500)
    assert made.recipe == {"vit": {"epochs": 2, "crop": None}}
    assert (checkpoints / "mhist" / "vit.safetensors").read_text() == "of seed 3"
    assert [path.name for path in checkpoints.iterdir()] == ["mhist"]


def test_figures_are_compared_with_the_committed_ones_of_the_same_seed(checkpoints, trained):
    assert status(keep=True, seed=3) == 0
    trained["`vit`"] = 0.93
    # No measure of quality.
    trained["members opposed"] = 0.0
    assert status(keep=False) == 0
    trained["`vit`"] = 0.91
    assert status(keep=False) == 1
    trained["`vit`"] = float("nan")
    assert status(keep=False) == 1
    assert Figures.read(checkpoints / "mhist").figures["`vit`"] == 0.95
    assert Figures.read(checkpoints / "mhist").seed == 3


def test_a_record_says_in_a_line_what_was_measured(checkpoints, trained):
    made = weights.record(load_spec("mhist"), checkpoints / "new", seed=0)
    assert made.summary() == "on 500 held-out drawings: `vit` 0.950, members opposed 0.100"
