"""`python -m export.quality`: the distribution of good photos, and the bounds that it proposes."""

import json

import numpy as np
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from export import quality
from inference.quality import judge
from pipelines.enums import Measure, QualityWarning
from pipelines.load import load_spec
from pipelines.quality import Quality
from tests.photos import encoded, photo

ENOUGH = 12


@pytest.fixture(autouse=True)
def few_photos(monkeypatch):
    monkeypatch.setattr(quality, "PHOTOS_AT_LEAST", ENOUGH)


@pytest.fixture
def album(tmp_path):
    folder = tmp_path / "good"
    (folder / "inner").mkdir(parents=True)
    for index in range(ENOUGH):
        place = folder / "inner" if index % 2 else folder
        (place / f"{index}.jpg").write_bytes(encoded(photo(index, 320, 240)))
    return folder


@pytest.fixture
def command(specs):
    def run(*words):
        app = quality.typer.Typer()
        app.command()(quality.main)
        return CliRunner().invoke(app, [*map(str, words), "--specs", str(specs)])

    return run


@pytest.fixture
def specs(tmp_path):
    folder = tmp_path / "specs"
    folder.mkdir()
    text = (quality.FOLDER / "oral_cancer.yaml").read_text("utf-8")
    (folder / "oral_cancer.yaml").write_text(text, "utf-8")
    return folder


def test_what_is_printed_is_yaml_of_the_spec_and_warns_of_at_most_the_share(command, album):
    result = command("oral_cancer", album)
    assert result.exit_code == 0, result.output
    printed = result.stdout[result.stdout.index("\nquality:\n") :]
    bounds = Quality(**yaml.safe_load(printed)["quality"])
    assert bounds.small.below == 1
    assert bounds.colour_profile.above == 8
    document = json.loads(command("oral_cancer", album, "--json").stdout)
    assert document["warned"]["proposed"] <= 0.02
    assert (document["photos"], document["unreadable"]) == (ENOUGH, 0)
    assert list(document["measures"]) == list(Measure)
    sharpness = document["measures"]["sharpness"]
    assert sharpness["proposed"] == bounds.blurred.below < sharpness["quantiles"]["0"]
    assert sharpness["current"] == load_spec("oral_cancer").quality.blurred.below
    brightness = document["measures"]["brightness"]
    assert 0 < brightness["quantiles"]["0.5"] < 255
    assert [brightness[key] for key in ("warning", "current", "proposed")] == [None] * 3


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3])
def test_the_proposed_bounds_warn_of_at_most_the_share_that_is_asked_for(monkeypatch, share):
    random = np.random.default_rng(4)
    rows = random.lognormal(size=(500, len(Measure))).astype(np.float32)
    rows[:, 1:3] = random.uniform(0, 0.9, (500, 2))
    rows[:, 3] += 1
    measured = iter(rows)
    monkeypatch.setattr(
        quality, "decode", lambda *_: type("Decoded", (), {"measures": next(measured)})
    )
    files = [quality.FOLDER / "oral_cancer.yaml"] * 500
    found = quality.measure(load_spec("oral_cancer"), files, share)
    assert found.warned(found.with_proposed()) <= share
    assert set(found.proposed) == set(QualityWarning)
    if share:
        # They are no further out than they have to be.
        blurred = judge(found.measures, found.with_proposed())[:, 0] == 1
        assert blurred.mean() < share / 6 + 0.01


def test_photos_that_the_yaml_refuses_are_among_those_that_are_measured(command, album, specs):
    path = specs / "oral_cancer.yaml"
    text = path.read_text("utf-8")
    before = "blurred: {below: 4.5}"
    assert before in text
    path.write_text(text.replace(before, "blurred: {below: 100000, refuse: true}"), "utf-8")
    document = json.loads(command("oral_cancer", album, "--json").stdout)
    assert document["photos"] == ENOUGH
    assert document["warned"]["current"] == 1


def test_an_empty_folder_and_one_with_too_few_photos_are_refused(command, album, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    result = command("oral_cancer", empty)
    assert result.exit_code == 1
    said = f"export: {empty}: 0 photos are too few to propose bounds: give {ENOUGH} or more"
    assert said in result.stderr
    (album / "0.jpg").unlink()
    result = command("oral_cancer", album)
    assert result.exit_code == 1
    assert f"{ENOUGH - 1} photos are too few" in result.stderr
    assert "Traceback" not in result.output


def test_files_that_cannot_be_read_are_named_and_above_one_percent_refused(command, album):
    (album / "notes.txt").write_text("no photo")
    result = command("oral_cancer", album)
    assert result.exit_code == 1
    assert "notes.txt" in result.stderr
    assert f"1 of {ENOUGH + 1} files cannot be read, 1% at most may be" in result.stderr


def test_a_few_files_that_cannot_be_read_are_counted(command, album, monkeypatch):
    monkeypatch.setattr(quality, "UNREADABLE_AT_MOST", 0.1)
    (album / "notes.txt").write_text("no photo")
    result = command("oral_cancer", album, "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["unreadable"] == 1
    assert "1 file left out: " in result.stderr
    assert "notes.txt" in result.stderr


def test_an_unknown_pipeline_and_a_folder_that_is_not_there_are_errors(command, album, tmp_path):
    result = command("other", album)
    assert (result.exit_code, "oral_cancer" in result.stderr) == (1, True)
    assert command("oral_cancer", tmp_path / "nothing").exit_code == 2


def test_a_measure_that_no_photo_has_is_not_bounded(command, tmp_path):
    folder = tmp_path / "tiny"
    folder.mkdir()
    for index in range(ENOUGH):
        Image.new("RGB", (12, 12), (index, 90, 90)).save(folder / f"{index}.png")
    document = json.loads(command("oral_cancer", folder, "--json").stdout)
    blocking = document["measures"]["blocking"]
    assert (blocking["not_applicable"], blocking["proposed"]) == (ENOUGH, None)
    assert document["measures"]["resolution"]["proposed"] < 1
