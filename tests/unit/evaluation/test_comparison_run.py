"""Two runs side by side."""

import json

import pytest

from tests.unit.evaluation import test_detection_run as detectors

CURRENT = {"a": 0.9, "b": 0.7, "c": 0.4, "d": 0.8, "e": 0.1, "f": 0.2}
CANCER = "abc"


@pytest.fixture
def photos(tmp_path):
    """Labelled photos, and how to make the service answer otherwise about the same content."""

    def write(name, answers=CURRENT, labels=CANCER):
        folder = tmp_path / name
        folder.mkdir()
        lines = ["file,label"]
        for photo, positive in answers.items():
            (folder / photo).write_text(json.dumps([round(1 - positive, 3), positive]))
            lines.append(f"{photo},{'cancer' if photo in labels else 'healthy'}")
        (folder / "labels.csv").write_text("\n".join(lines))
        return folder / "labels.csv"

    return write


@pytest.fixture
def runs(evaluate, photos, tmp_path):
    """Two reports over the same photos, at two thresholds."""
    labels = photos("set")
    assert evaluate("lesions", labels, "--out", "first")[0] == 0
    assert evaluate("lesions", labels, "--threshold", "0.35", "--out", "second")[0] == 0
    return tmp_path / "first" / "report.json", tmp_path / "second" / "report.json"


def test_runs_over_the_same_photos_are_put_side_by_side(evaluate, runs):
    status, output, errors = evaluate("compare", *runs)
    assert (status, errors) == (0, "")
    assert "6 photos, the same for both" in output
    assert "McNemar: 0 photos only the first has right, 1 only the second; p = 1" in output


def test_the_comparison_is_there_as_json(evaluate, runs):
    _, output, _ = evaluate("compare", *runs, "--json")
    said = json.loads(output)
    rows = {row["metric"]: row for row in said["rows"]}
    assert rows["sensitivity"]["first"] == pytest.approx(2 / 3)
    assert rows["sensitivity"]["second"] == 1
    assert rows["sensitivity"]["difference"]["value"] == pytest.approx(1 / 3)
    assert rows["sensitivity"]["difference"]["low"] == 0
    assert rows["specificity"]["difference"]["value"] == 0
    scored = json.loads(runs[0].read_text())["scores"]["roc_auc"]
    assert rows["ROC-AUC"]["first"] == pytest.approx(scored)
    assert rows["ROC-AUC"]["difference"]["value"] == 0
    assert said["mcnemar"] == {"only_first": 0, "only_second": 1, "p": 1.0}


def test_a_run_compares_itself_with_earlier_ones(evaluate, runs, photos, tmp_path):
    status, output, _ = evaluate(
        "lesions", tmp_path / "set" / "labels.csv", "--out", "third", "--compare", runs[1]
    )
    assert status == 0
    assert "1 photos only the first has right, 0 only the second" in output


def test_different_label_sets_are_refused_with_their_difference(evaluate, runs, photos, tmp_path):
    relabelled = CURRENT | {"g": 0.3}
    del relabelled["f"]
    labels = photos("other", relabelled, labels="ab")
    status, output, errors = evaluate("lesions", labels, "--out", "third", "--compare", runs[0])
    assert status == 2
    assert "1 photos only in the first, 1 only in the second, 1 labelled otherwise" in errors
    assert "--common to compare the 4 photos they share" in errors
    assert (tmp_path / "third" / "report.json").exists()
    assert "accuracy" in output


def test_the_shared_photos_are_compared_on_request_and_that_is_said(evaluate, runs, photos):
    labels = photos("other", CURRENT | {"g": 0.3}, labels="ab")
    status, output, _ = evaluate(
        "lesions", labels, "--out", "third", "--compare", runs[0], "--common"
    )
    assert status == 0
    assert "LEFT OUT: 0 photos only in the first, 1 only in the second, 1 labelled" in output
    assert "5 photos, the same for both" in output


def test_runs_that_share_no_photo_are_refused(evaluate, runs, photos):
    labels = photos("other", {"x": 0.55, "y": 0.45}, labels="x")
    status, _, errors = evaluate(
        "lesions", labels, "--out", "third", "--compare", runs[0], "--common"
    )
    assert status == 2
    assert "the runs share no photo" in errors


def test_other_classes_are_refused(evaluate, runs, photos, tmp_path):
    (tmp_path / "species").mkdir()
    (tmp_path / "species" / "a").write_text("[0.2, 0.7, 0.1]")
    (tmp_path / "species" / "labels.csv").write_text("file,label\na,asp\n")
    evaluate("species", "species/labels.csv", "--out", "snakes")
    status, _, errors = evaluate("compare", runs[0], "snakes/report.json")
    assert status == 2
    assert "have different classes (healthy, cancer; adder, asp, grass snake)" in errors


def test_copies_of_a_photo_pair_up_with_copies(evaluate, photos):
    labels = photos("set", CURRENT | {"cc": 0.4}, labels=[*CANCER, "cc"])
    evaluate("lesions", labels, "--out", "first")
    _, output, _ = evaluate("lesions", labels, "--out", "second", "--compare", "first/report.json")
    assert "7 photos, the same for both" in output


def test_two_detectors_are_compared_by_their_hits_and_average_precision(evaluate, tmp_path):
    labels = detectors.label_set(tmp_path / "set")
    evaluate("outlines", labels, "--out", "first")
    evaluate("outlines", labels, "--threshold", "0.1", "--out", "second")
    _, output, _ = evaluate("compare", "first/report.json", "second/report.json", "--json")
    said = json.loads(output)
    rows = {row["metric"]: row for row in said["rows"]}
    assert rows["recall"]["first"] == pytest.approx(2 / 3)
    assert rows["recall"]["difference"]["value"] == pytest.approx(1 / 3)
    assert rows["mAP@0.5 of masks"]["difference"]["value"] == 0
    assert said["mcnemar"] is None


def test_average_precision_is_not_compared_where_photos_are_left_out(evaluate, tmp_path):
    fewer = {name: said for name, said in detectors.PHOTOS.items() if name != "c.jpg"}
    evaluate("objects", detectors.label_set(tmp_path / "set"), "--out", "first")
    evaluate("objects", detectors.label_set(tmp_path / "fewer", fewer), "--out", "second")
    _, output, _ = evaluate(
        "compare", "first/report.json", "second/report.json", "--common", "--json"
    )
    assert [row["metric"] for row in json.loads(output)["rows"]] == ["precision", "recall", "F1"]


def test_a_file_that_is_no_report_is_named(evaluate, runs, tmp_path):
    (tmp_path / "other.json").write_text('{"task": "classification"}')
    status, _, errors = evaluate("compare", runs[0], "other.json")
    assert status == 2
    assert "other.json: is not a report of this version" in errors
    assert "Traceback" not in errors
