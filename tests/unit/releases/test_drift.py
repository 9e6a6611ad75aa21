"""Drift of simulated weeks, and of rows in a database. How often it errs: `make drift`."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from sqlalchemy import insert

from database.clock import now
from database.engine import open_engine, upgrade
from database.tables import predictions
from evaluation.errors import EvaluationError
from lab.releases.drift import verdicts
from lab.releases.weeks import Week, rows
from releases.drift.comparison import Reference, Verdict, compare
from releases.drift.figures import collect, reference_at
from tests.releases_command import run

RELEASE = "1-aaaaaaaa"


def week(seed, **how):
    return collect(rows(np.random.default_rng(seed), Week(**how)))


@pytest.fixture(scope="module")
def reference():
    return Reference.of("oral_cancer", RELEASE, week(0, photos=2000))


def drifted(report):
    return {each.figure for each in report.figures if each.drifted}


def test_quiet_weeks_raise_hardly_any_alarm():
    counts = verdicts(Week(), 100, seed=5)
    alarms = sum(number for pair, number in counts.items() if Verdict.DRIFT in pair)
    # One in a hundred is stated; more than four have a probability of 0.003.
    assert alarms <= 4
    assert sum(counts.values()) == 100


@pytest.mark.parametrize("seed", range(1, 9))
def test_half_a_standard_deviation_of_brightness_is_found_within_500_photos(reference, seed):
    report = compare(reference, week(seed, photos=500, brighter=0.5), RELEASE)
    assert (report.input, report.answer) == (Verdict.DRIFT, Verdict.QUIET)
    assert "brightness" in drifted(report)


@pytest.mark.parametrize("seed", range(1, 9))
def test_a_shift_of_brightness_is_found_of_photos_without_dark_or_overexposed_pixels(seed):
    usual = week(0, photos=2000, extremes=False)
    seen = week(seed, photos=500, brighter=0.5, extremes=False)
    report = compare(Reference.of("oral_cancer", RELEASE, usual), seen, RELEASE)
    assert (report.input, drifted(report)) == (Verdict.DRIFT, {"brightness"})


def test_figures_that_an_earlier_reference_lacks_are_named(reference):
    numbers = {**reference.figures.numbers}
    del numbers["brightness"]
    earlier = reference.model_copy(
        update={"figures": reference.figures.model_copy(update={"numbers": numbers})}
    )
    report = compare(earlier, week(1, brighter=0.5), RELEASE)
    assert report.not_in_reference == ("brightness",)
    assert compare(reference, week(1), RELEASE).not_in_reference == ()


def test_a_camera_that_blurs_is_found_by_its_sharpness(reference):
    report = compare(reference, week(1, blurred=0.4), RELEASE)
    assert (report.input, report.answer) == (Verdict.DRIFT, Verdict.QUIET)
    assert drifted(report) == {"sharpness"}


def test_answers_that_change_on_the_same_photos_are_drift_of_answers_alone(reference):
    report = compare(reference, week(1, surer=1.0), RELEASE)
    assert (report.input, report.answer) == (Verdict.QUIET, Verdict.DRIFT)


def test_few_photos_are_not_enough(reference):
    report = compare(reference, week(1, photos=49), RELEASE)
    assert (report.input, report.answer) == (Verdict.NOT_ENOUGH_EVIDENCE,) * 2
    with pytest.raises(EvaluationError, match="has 49 answers"):
        Reference.of("oral_cancer", RELEASE, week(1, photos=49))


def test_a_request_that_chose_a_member_tells_nothing_of_the_releases_answers():
    all_rows = list(rows(np.random.default_rng(3), Week(photos=3)))
    asked = [(*row[:3], {"member": "vgg16"}) for row in all_rows[:1]]
    figures = collect([*asked, *all_rows[1:]])
    assert figures.photos == len(figures.numbers["sharpness"]) == 3
    assert len(figures.numbers["confidence"]) == sum(figures.words["class"].values()) == 2


def test_a_detectors_rows_count_its_detections():
    result = {
        "predictions": [
            {"class": "circle", "score": 0.5, "box": [0, 0, 1, 1]},
            {"class": "square", "score": 0.9, "box": [0, 0, 1, 1]},
        ],
        "quality": {"warnings": [], "sharpness": 4.0, "blocking": None},
        "input": {"typicality": None},
    }
    nothing = {"predictions": [], "quality": {}, "input": {}}
    figures = collect([(result, 1_000_000, "png", {}), (nothing, None, None, {})])
    assert figures.numbers == {
        "sharpness": [4.0],
        "megabytes": [1.0],
        "detections": [2.0, 0.0],
        "score": [0.7],
    }
    assert figures.words == {"class": {"square": 1, "none": 1}, "format": {"png": 1}}


@pytest.fixture
def database(tmp_path, monkeypatch):
    """An audit log with a reference week and one that is brighter, of one release."""
    url = f"sqlite:///{tmp_path / 'service.db'}"
    monkeypatch.setenv("GATEWAY_DATABASE_URL", url)
    engine = open_engine(url)
    upgrade(engine)
    day = 86_400_000_000
    made = []
    for at, seed, how in ((now() - 20 * day, 0, {"photos": 600}), (now(), 1, {"brighter": 1.0})):
        for result, size, photo_format, parameters in rows(
            np.random.default_rng(seed), Week(**how)
        ):
            position = len(made) + 1
            made.append({
                "id": f"{position:036d}", "chain": "c", "position": position, "at": at,
                "event": "prediction", "principal_id": "", "principal_kind": "", "credential": "",
                "tenant": "", "request_id": "", "transport": "http", "route": "predict",
                "pipeline": "oral_cancer", "release": RELEASE, "input_bytes": size,
                "input_format": photo_format, "parameters": json.dumps(parameters),
                "result": json.dumps(result), "stages": "{}", "kept": False, "previous": "",
                "hash": "",
            })  # fmt: skip
    # Neither another release's nor a refused image counts.
    made.append(made[0] | {"id": "a" * 36, "position": 5000, "release": "1-bbbbbbbb"})
    made.append(made[0] | {"id": "b" * 36, "position": 5001, "result": None})
    with engine.begin() as connection:
        connection.execute(insert(predictions), made)
    engine.dispose()
    return tmp_path


def test_the_command_makes_a_reference_and_finds_drift(database, capsys):
    where = ["drift", "oral_cancer", "--release", RELEASE, "--repository", database / "repository"]
    status, _, errors = run(capsys, *where)
    assert status == 2
    assert "--make-reference" in errors
    between = (datetime.now(UTC) - timedelta(days=10)).strftime("%Y-%m-%dT%H:%M:%S")
    assert run(capsys, *where, "--make-reference", "--until", between)[0] == 0
    kept = reference_at(database / "repository", "oral_cancer", RELEASE)
    page, metrics = database / "page.html", database / "drift.prom"
    status, output, _ = run(
        capsys, *where, "--since", between, "--out", page, "--metrics", metrics,
        "--json",
    )  # fmt: skip
    report = json.loads(output)
    assert Reference.read(kept).figures.photos == 600
    assert (status, report["photos"]) == (1, 500)
    assert (report["input"], report["answer"]) == ("drift", "quiet")
    assert f'prediction_drift{{pipeline="oral_cancer",release="{RELEASE}",kind="input"}} 1' in (
        metrics.read_text()
    )
    text = page.read_text()
    assert text.count("<svg") == sum(each["test"] == "ks" for each in report["figures"])
    assert "<script" not in text
