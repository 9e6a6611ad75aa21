"""The committed calibrations: of the committed checkpoints, and as good as they say."""

import numpy as np
import pytest

from demo import calibration
from demo.calibration import CHECKED, PHOTOS, DemoCalibration, check, committed, labelled, narrow
from demo.figures import CHECKPOINTS
from export import gate, release_calibration
from pipelines.calibration import FILENAME
from pipelines.enums import Task
from pipelines.load import available, load_definition, load_spec

CLASSIFICATIONS = [name for name in available() if load_spec(name).task is Task.CLASSIFICATION]


@pytest.mark.parametrize("name", CLASSIFICATIONS)
def test_every_committed_checkpoint_is_calibrated(name):
    whole = load_definition(name)
    found = committed(whole)
    assert set(map(whole.origin, whole.members)) <= set(found)
    for each in found.values():
        assert each.figures.fitted == each.figures.measured == PHOTOS // 2
        assert each.figures.error_after.value < each.figures.error_before.value


@pytest.mark.parametrize("name", CLASSIFICATIONS)
def test_sets_hold_the_true_class_as_often_as_they_say(name):
    found = DemoCalibration.read(CHECKPOINTS / name)
    assert found.checked.drawings == CHECKED
    assert found.checked.coverage.low <= 0.95 <= found.checked.coverage.high
    assert found.error_after.value < found.error_before.value


def test_a_calibration_of_other_checkpoints_is_not_taken(tmp_path, monkeypatch):
    folder = tmp_path / "snake_species"
    folder.mkdir()
    (folder / FILENAME).write_bytes((CHECKPOINTS / "snake_species" / FILENAME).read_bytes())
    (folder / "fp32.safetensors").write_bytes(b"trained anew")
    monkeypatch.setattr(calibration, "CHECKPOINTS", tmp_path)
    assert committed(load_definition("snake_species")) == {}


def test_the_committed_bounds_hold_for_drawings_that_were_never_seen():
    whole = load_definition("mhist")
    spec, known = whole.resolve("default"), committed(whole)
    pixels, labels = labelled(whole, 100, 9)
    logits = {
        name: gate.logits(narrow(whole, name).logits, pixels) / known[name].figures.temperature
        for name in spec.answering_members
    }
    answers = release_calibration.answers(spec, {name: known[name] for name in logits})
    sets = check(spec, answers, logits, labels)
    # Four standard deviations of 100 drawings below 95 %.
    assert sets.coverage.value >= 0.95 - 4 * (0.0475 / 100) ** 0.5
    assert 0.9 < sets.mean_size < 1.5
    assert np.mean(list(sets.coverage_of_class.values())) == pytest.approx(sets.coverage.value)
