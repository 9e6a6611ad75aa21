"""`python -m evaluation` of a classifier, against a small service."""

import hashlib
import json

import pytest

SIX = {
    "a.jpg": ([0.1, 0.9], "cancer"),
    "b.jpg": ([0.3, 0.7], "cancer"),
    "c.jpg": ([0.6, 0.4], "cancer"),
    "d.jpg": ([0.2, 0.8], "healthy"),
    "e.jpg": ([0.9, 0.1], "healthy"),
    "f.jpg": ([0.8, 0.2], "healthy"),
}


def label_set(folder, photos=SIX, name="labels.csv"):
    folder.mkdir(exist_ok=True)
    lines = ["file,label"]
    for file, (answer, label) in photos.items():
        (folder / file).write_text(answer if isinstance(answer, str) else json.dumps(answer))
        lines.append(f"{file},{label}")
    (folder / name).write_text("\n".join(lines))
    return folder / name


def report(folder):
    return json.loads((folder / "report.json").read_text())


def test_a_binary_pipeline_is_measured(evaluate, tmp_path):
    status, output, errors = evaluate("lesions", label_set(tmp_path / "set"), "--out", "run")
    assert (status, errors) == (0, "")
    said = report(tmp_path / "run")
    assert said["photos"] == 6
    assert said["scores"]["confusion"] == [[2, 1], [1, 2]]
    assert said["scores"]["sensitivity"]["count"] == 2
    assert said["scores"]["roc_auc"] == pytest.approx(7 / 9)
    assert said["threshold"] == 0.5
    assert said["members"] == {"small": {"version": "1", "sha256": "aa11" * 16}}
    assert said["weights"] is None
    assert {level["level"]: level["share"]["count"] for level in said["levels"]} == {
        "low": 4,
        "high": 2,
    }
    assert said["sweep"]["points"][0]["threshold"] == 0.05
    assert "accuracy" in output
    assert "0.667" in output
    assert "the pipeline's" in output
    assert (tmp_path / "run" / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_prediction_sets_are_measured_beside_what_the_service_states(evaluate, tmp_path):
    sets = [["cancer"], ["cancer", "healthy"], ["healthy"], [], ["healthy"], ["healthy"]]
    photos = {
        file: ({"set": chosen, "then": answer}, label)
        for (file, (answer, label)), chosen in zip(SIX.items(), sets, strict=True)
    }
    status, output, _ = evaluate("lesions", label_set(tmp_path / "set", photos), "--out", "run")
    assert status == 0
    said = report(tmp_path / "run")["sets"]
    assert (said["stated"], said["coverage"]["count"], said["coverage"]["of"]) == (0.95, 4, 6)
    assert said["coverage_of_class"]["healthy"]["count"] == 2
    assert said["mean_size"] == pytest.approx(1.0)
    assert said["empty"]["count"] == 1
    assert "prediction sets for 95%" in output
    assert "hold the true class" in output


def test_without_a_set_in_every_answer_there_are_no_figures_of_sets(evaluate, tmp_path):
    photos = SIX | {"a.jpg": ({"set": ["cancer"], "then": [0.1, 0.9]}, "cancer")}
    assert evaluate("lesions", label_set(tmp_path / "set", photos), "--out", "run")[0] == 0
    assert report(tmp_path / "run")["sets"] is None


def test_reliability_is_shown_with_and_without_the_temperature(evaluate, service, tmp_path):
    # Logits were divided by 2: without that, 0.9 was 0.81 / (0.81 + 0.01), and 0.8 0.64 / 0.68.
    service.temperature = 2.0
    status, output, _ = evaluate("lesions", label_set(tmp_path / "set"), "--out", "run")
    assert status == 0
    said = report(tmp_path / "run")
    assert said["reliability"]["expected_calibration_error"] == pytest.approx(
        said["scores"]["expected_calibration_error"]
    )
    last = said["reliability_before"]["bins"][-1]
    assert last["photos"] == 4
    assert last["confidence"] == pytest.approx((0.81 / 0.82 + 0.64 / 0.68) / 2)
    assert "expected calibration error, without calibration" in output
    service.temperature = None
    assert evaluate("lesions", tmp_path / "set" / "labels.csv", "--out", "plain")[0] == 0
    assert report(tmp_path / "plain")["reliability_before"] is None


def test_the_folder_is_named_after_pipeline_release_and_member(evaluate, tmp_path):
    labels = label_set(tmp_path / "set")
    assert evaluate("lesions", labels)[0] == 0
    assert evaluate("lesions", labels, "--member", "large")[0] == 0
    alone = report(tmp_path / "evaluation-lesions-1-3fa9c2d1-large")
    assert list(alone["members"]) == ["large"]
    assert alone["member"] == "large"
    assert report(tmp_path / "evaluation-lesions-1-3fa9c2d1")["member"] is None


def test_a_report_is_never_written_over(evaluate, service, tmp_path):
    labels = label_set(tmp_path / "set")
    assert evaluate("lesions", labels, "--out", "run")[0] == 0
    service.seen.clear()
    status, _, errors = evaluate("lesions", labels, "--out", "run")
    assert status == 2
    assert "run: is there already; remove it or name another folder with --out" in errors
    assert service.seen == []


def test_another_threshold_decides_and_is_marked(evaluate, tmp_path):
    labels = label_set(tmp_path / "set")
    status, output, _ = evaluate("lesions", labels, "--threshold", "0.35", "--out", "run")
    said = report(tmp_path / "run")
    assert (status, said["threshold"]) == (0, 0.35)
    assert said["scores"]["sensitivity"]["value"] == 1
    assert "this run's" in output


def test_several_classes_have_no_threshold_and_no_sweep(evaluate, tmp_path):
    photos = {
        "a": ([0.7, 0.2, 0.1], "adder"),
        "b": ([0.4, 0.5, 0.1], "adder"),
        "c": ([0.1, 0.8, 0.1], "asp"),
    }
    status, output, _ = evaluate("species", label_set(tmp_path / "set", photos), "--out", "run")
    said = report(tmp_path / "run")
    assert (status, said["sweep"], said["threshold"]) == (0, None, None)
    assert said["scores"]["recall"]["grass snake"] is None
    assert "grass snake" in output
    assert "not defined" in output
    assert (tmp_path / "run" / "plot.png").stat().st_size > 10_000


def test_labels_of_one_class_are_measured_as_far_as_that_goes(evaluate, tmp_path):
    photos = {name: said for name, said in SIX.items() if said[1] == "cancer"}
    status, output, _ = evaluate("lesions", label_set(tmp_path / "set", photos), "--out", "run")
    said = report(tmp_path / "run")
    assert status == 0
    assert (said["scores"]["roc_auc"], said["scores"]["specificity"]) == (None, None)
    assert (said["scores"]["sensitivity"]["count"], said["sweep"]["best"]) == (2, None)
    assert "not defined" in output


def test_a_folder_for_each_class_will_do(evaluate, tmp_path):
    for name, (answer, label) in SIX.items():
        (tmp_path / "set" / label).mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / label / name).write_text(json.dumps(answer))
    assert evaluate("lesions", tmp_path / "set", "--out", "run")[0] == 0
    assert report(tmp_path / "run")["scores"]["confusion"] == [[2, 1], [1, 2]]


def test_a_photo_without_an_answer_is_named_and_left_out(evaluate, tmp_path):
    photos = SIX | {"broken.jpg": ("no image", "healthy")}
    status, output, errors = evaluate(
        "lesions", label_set(tmp_path / "set", photos), "--out", "run"
    )
    assert status == 1
    assert "1 PHOTOS FAILED AND ARE IN NONE OF THE FIGURES" in errors
    assert "broken.jpg: " in errors
    assert "Send a JPEG or a PNG" in errors
    said = report(tmp_path / "run")
    assert (said["photos"], said["failed"]) == (6, 1)
    assert said["scores"]["accuracy"]["of"] == 6
    assert "6 photos" in output


def test_where_no_photo_is_answered_nothing_is_written(evaluate, tmp_path):
    labels = label_set(tmp_path / "set", {"broken.jpg": ("no image", "healthy")})
    status, _, errors = evaluate("lesions", labels, "--out", "run")
    assert status == 2
    assert "none of the 1 photos was answered; the first because" in errors
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set"]


def test_the_report_knows_photos_by_content_and_never_by_name(evaluate, tmp_path):
    labels = label_set(tmp_path / "set", {"miller-anna.jpg": SIX["a.jpg"], "b.jpg": SIX["f.jpg"]})
    assert evaluate("lesions", labels, "--out", "run")[0] == 0
    written = (tmp_path / "run" / "report.json").read_text()
    assert "miller" not in written
    content = (tmp_path / "set" / "miller-anna.jpg").read_bytes()
    assert report(tmp_path / "run")["answers"][0] == {
        "sha256": hashlib.sha256(content).hexdigest(),
        "label": "cancer",
        "prediction": "cancer",
        "probabilities": [0.1, 0.9],
        "uncertainty": "low",
        "prediction_set": None,
    }


def test_copies_are_counted_and_said(evaluate, tmp_path):
    photos = SIX | {"g.jpg": SIX["a.jpg"]}
    _, output, _ = evaluate("lesions", label_set(tmp_path / "set", photos), "--out", "run")
    assert report(tmp_path / "run")["copies"] == 1
    assert "1 photos are copies of others" in output


def test_one_photo_under_two_labels_is_refused(evaluate, tmp_path):
    photos = SIX | {"g.jpg": (SIX["a.jpg"][0], "healthy")}
    status, _, errors = evaluate("lesions", label_set(tmp_path / "set", photos), "--out", "run")
    assert status == 2
    assert "a.jpg and " in errors
    assert "are the same photo, labelled 'cancer' and 'healthy'" in errors


def test_demo_weights_are_flagged(evaluate, service, tmp_path):
    service.demo = True
    _, output, _ = evaluate("lesions", label_set(tmp_path / "set"), "--out", "run")
    assert "DEMO WEIGHTS" in output
    assert report(tmp_path / "run")["weights"] == "demo"


def test_a_release_that_changes_during_the_run_is_refused(evaluate, service, tmp_path):
    service.releases = ["1-3fa9c2d1", "2-77aa0000"]
    status, _, errors = evaluate("lesions", label_set(tmp_path / "set"), "--out", "run")
    assert status == 2
    assert "changed its release during the run" in errors


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nothing", "LABELS"], "nothing: there is lesions."),
        (["lesions", "LABELS", "--member", "huge"], "the members of lesions are: small, large"),
        (["lesions", "LABELS", "--threshold", "0.99"], "lesions takes 0.05 to 0.95"),
        (["lesions", "LABELS", "--threshold", "nan"], "lesions takes 0.05 to 0.95"),
        (["species", "LABELS", "--threshold", "0.5"], "species has none; leave it out"),
        (["species", "LABELS"], "no class 'cancer', 'healthy'; rename it to one of: adder"),
        (["lesions", "LABELS", "--images", "set"], "only a COCO file needs it"),
        (["lesions", "nowhere.csv"], "nowhere.csv: No such file"),
        (["lesions", "LABELS", "--url", "ftp://here"], "is not the URL of a service"),
        (["lesions", "LABELS", "--compare", "nowhere.json"], "name the report.json of a run"),
    ],
)
def test_a_question_that_does_not_fit_is_refused_before_the_first_photo(
    evaluate, service, tmp_path, arguments, says
):
    labels = label_set(tmp_path / "set")
    status, _, errors = evaluate(*[labels if each == "LABELS" else each for each in arguments])
    assert status == 2
    assert errors.startswith("evaluation: ")
    assert says in errors
    assert service.seen == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set"]


def test_a_service_that_is_not_there_is_said_at_once(evaluate, tmp_path):
    status, _, errors = evaluate(
        "lesions", label_set(tmp_path / "set"), "--url", "http://127.0.0.1:1"
    )
    assert status == 2
    assert "no connection to http://127.0.0.1:1" in errors
