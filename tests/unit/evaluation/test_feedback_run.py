"""`--from-feedback`: what people said of answers, by release and site."""

import json
from itertools import count
from pathlib import Path

import pytest

OBJECT = {"class": "circle", "box": [0, 0, 40, 40]}


@pytest.fixture
def case(service):
    """Adds a prediction; what follows are its feedback, each a kind and a finding."""
    numbers = count()

    def add(*feedback, pipeline="lesions", release="1-a", site="north", **answer):
        name = f"p{next(numbers):04}"
        entries = [
            {
                "id": f"{name}-{index}", "at": "2026-11-30T12:00:00Z", "kind": kind, "by": site,
                "reader": None, "comment": None, "deleted": False,
                **({"label": found} if isinstance(found, str) else {"objects": found}),
            }
            for index, (kind, found) in enumerate(feedback)
        ]  # fmt: skip
        service.cases.append(
            {
                "prediction_id": name, "at": "2026-11-30T12:00:00Z", "pipeline": pipeline,
                "release": release, "site": site, "image_kept": False, "feedback": entries,
                **answer,
            }
        )  # fmt: skip
        return name

    return add


def said(prediction, confidence=0.9, level="low"):
    return {"prediction": prediction, "confidence": confidence, "level": level}


def found(*objects):
    return {"detections": [each | {"score": 0.9} for each in objects], "threshold": 0.5}


def right(label):
    return ("correction", label)


def report(evaluate, pipeline="lesions", *more):
    status, output, errors = evaluate(pipeline, "--from-feedback", "--out", "run", *more)
    assert (status, errors) == (0, "")
    return json.loads(Path("run/report.json").read_text("utf-8")), output


def test_answers_are_measured_by_release_and_by_site(case, evaluate):
    for _ in range(4):
        case(right("cancer"), **said("cancer"))
    case(right("cancer"), **said("healthy"))
    case(right("healthy"), **said("healthy"), site="south")
    case(right("healthy"), **said("cancer"), release="2-b", site="south")
    measured, output = report(evaluate)
    first, second = measured["releases"]
    assert (first["name"], first["answers"], second["name"]) == ("1-a", 6, "2-b")
    assert (first["sensitivity"]["count"], first["sensitivity"]["of"]) == (4, 5)
    assert (first["specificity"]["count"], first["specificity"]["of"]) == (1, 1)
    assert 0 < first["sensitivity"]["low"] < 0.8 < first["sensitivity"]["high"] < 1
    assert (second["accuracy"]["count"], second["sensitivity"]) == (0, None)
    assert [site["name"] for site in measured["sites"]] == ["north", "south"]
    assert measured["sites"][1]["accuracy"]["value"] == 0.5
    for word in ("1-a", "2-b", "north", "south", "sensitivity", "0.800", "written to run"):
        assert word in output


def test_the_last_correction_counts(case, evaluate):
    case(("correction", "healthy"), ("before", "healthy"), right("cancer"), **said("cancer"))
    measured, _ = report(evaluate)
    assert measured["releases"][0]["accuracy"]["value"] == 1


def test_it_says_which_answers_got_feedback_and_estimates_all(case, evaluate):
    for index in range(20):
        case(*([right("cancer")] if index < 5 else []), **said("cancer", 0.95))
    for index in range(10):
        label = right("cancer" if index % 2 else "healthy")
        case(*([label] if index < 8 else []), **said("healthy", 0.55, "high"))
    measured, output = report(evaluate)
    coverage = measured["coverage"]
    assert (coverage["labelled"]["count"], coverage["labelled"]["of"]) == (13, 30)
    assert coverage["levels"]["low"]["value"] == 0.25
    assert coverage["levels"]["high"]["value"] == 0.8
    assert coverage["predictions"]["healthy"]["value"] == 0.8
    labelled, others = coverage["confidence"]
    assert labelled < others
    group = measured["releases"][0]
    assert group["accuracy"]["value"] == pytest.approx(9 / 13)
    assert group["corrected"]["accuracy"]["value"] == pytest.approx((20 + 5) / 30)
    assert "0.833" in output
    assert "uncertainty: high" in output


def test_nothing_is_estimated_where_of_some_answers_nothing_is_known(case, evaluate):
    case(right("cancer"), **said("cancer"))
    case(**said("healthy"))
    measured, output = report(evaluate)
    assert measured["releases"][0]["corrected"] is None
    assert "not defined" in output


def test_readers_who_recorded_a_finding_before_are_compared_with_the_models(case, evaluate):
    case(("before", "cancer"), right("cancer"), **said("healthy"))
    case(("before", "healthy"), right("cancer"), **said("cancer"))
    case(("before", "healthy"), right("cancer"), **said("cancer"))
    case(("before", "healthy"), **said("cancer"))
    measured, output = report(evaluate)
    assert measured["readings"] == {
        "both": 0, "models_alone": 2, "reader_alone": 1, "neither": 0
    }  # fmt: skip
    assert "3 read before" in output


def test_answers_of_one_member_alone_are_left_out(case, evaluate):
    case(right("cancer"), **said("cancer"))
    case(right("cancer"), **said("healthy"), member="small")
    measured, output = report(evaluate)
    assert (measured["answers"], measured["members_alone"]) == (1, 1)
    assert "1 of one member alone left out" in output


def test_a_detectors_answers_are_measured_by_their_boxes(case, evaluate):
    far = {"class": "circle", "box": [60, 60, 90, 90]}
    case(right([OBJECT]), pipeline="objects", **found(OBJECT, far))
    case(right([OBJECT, far]), pipeline="objects", **found(OBJECT))
    case(right([]), pipeline="objects", **found())
    case(pipeline="objects", **found(OBJECT))
    measured, _ = report(evaluate, "objects")
    group = measured["releases"][0]
    assert (group["precision"]["count"], group["precision"]["of"]) == (2, 3)
    assert (group["recall"]["count"], group["recall"]["of"]) == (2, 3)
    assert measured["coverage"]["predictions"]["nothing found"]["value"] == 1
    assert measured["coverage"]["predictions"]["something found"]["of"] == 3


def test_several_classes_are_measured_by_their_recall(case, evaluate):
    case(right("asp"), pipeline="species", **said("asp"))
    case(right("adder"), pipeline="species", **said("asp"))
    measured, output = report(evaluate, "species")
    group = measured["releases"][0]
    assert (group["sensitivity"], group["recall"]["adder"]["value"]) == (None, 0)
    assert "grass snake" in output


def test_the_time_is_asked_for_in_utc(case, evaluate, service):
    case(right("cancer"), **said("cancer"))
    report(evaluate, "lesions", "--since", "2026-11-01", "--until", "2026-12-01")
    _, query = service.seen[-1]
    assert query["since"] == "2026-11-01T00:00:00+00:00"
    assert query["until"] == "2026-12-01T00:00:00+00:00"
    assert query["unlabelled"] == "true"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "give LABELS, or --from-feedback"),
        (["labels.csv", "--from-feedback"], "leave out --from-feedback or LABELS"),
        (["labels.csv", "--since", "2026-11-01"], "go with --from-feedback"),
    ],
)
def test_options_that_do_not_go_together_are_refused(evaluate, arguments, complaint):
    status, _, errors = evaluate("lesions", *arguments)
    assert status == 2
    assert complaint in " ".join(errors.split())


def test_without_any_label_nothing_is_measured_or_written(case, evaluate, tmp_path):
    case(("before", "cancer"), **said("cancer"))
    status, _, errors = evaluate("lesions", "--from-feedback", "--out", "run")
    assert status == 2
    assert "none of 1 answers has feedback yet" in errors
    assert not (tmp_path / "run").exists()


def test_a_class_that_the_pipeline_has_no_more_is_named(case, evaluate):
    case(right("tumour"), **said("cancer"))
    status, _, errors = evaluate("lesions", "--from-feedback")
    assert status == 2
    assert "tumour" in errors
    assert "--since" in errors
