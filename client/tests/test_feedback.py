"""Feedback, its history, and kept images, of both clients and of the command."""

import json
from datetime import UTC, datetime

import pytest
from secondopinion import Box, LabelledObject, Mask, NotFoundError, UnexpectedAnswerError

from client.tests.service import JSONResponse, problem

PREDICTION = "0190a3f2-7c1e-7000-8000-00000000000a"
RECEIPT = {"chain": "gateway-1", "position": 8, "head": "ff66", "newer": True}
ENTRY = {
    "id": "0190a3f2-0001", "at": "2026-11-30T12:00:00Z", "kind": "correction", "by": "north",
    "label": "cancer", "reader": "A. Reader", "comment": None, "deleted": False,
}  # fmt: skip


@pytest.fixture
def answers(service):
    """What the next requests get."""
    return service.other_replies


def test_feedback_is_sent_as_the_service_takes_it(ask, service, answers):
    answers.append(
        JSONResponse({"id": "f", "prediction_id": PREDICTION, "at": "now", "receipt": RECEIPT}, 201)
    )
    receipt = ask("feedback", PREDICTION, label="cancer", reader="A. Reader", comment=None)
    assert (receipt.id, receipt.receipt.position) == ("f", 8)
    seen = service.seen[-1]
    assert (seen.method, seen.path) == ("POST", f"/api/v1/predictions/{PREDICTION}/feedback")
    assert json.loads(seen.body) == {"label": "cancer", "reader": "A. Reader"}
    assert seen.headers["content-type"] == "application/json"


def test_objects_are_sent_with_their_boxes_and_masks(ask, service, answers):
    receipt = {"id": "f", "prediction_id": PREDICTION, "at": "now", "receipt": RECEIPT}
    answers += [JSONResponse(receipt, 201)] * 2
    mask = Mask(size=(50, 60), counts="PQ3")
    objects = [
        LabelledObject(class_name="star", box=Box(1, 2, 3.5, 4)),
        LabelledObject(class_name="moon", mask=mask),
    ]
    ask("feedback", PREDICTION, objects=objects, kind="before")
    assert json.loads(service.seen[-1].body) == {
        "objects": [
            {"class": "star", "box": [1, 2, 3.5, 4]},
            {"class": "moon", "mask": {"size": [50, 60], "counts": "PQ3"}},
        ],
        "kind": "before",
    }
    ask("feedback", PREDICTION, objects=[])
    assert json.loads(service.seen[-1].body) == {"objects": []}


def test_an_id_is_quoted_in_the_path(ask, service, answers):
    answers.append(problem(404, "prediction_unknown"))
    with pytest.raises(NotFoundError):
        ask("feedback_history", "../pipelines")
    assert service.seen[-1].path.startswith("/api/v1/predictions/")


def test_a_history_has_what_was_said(ask, answers):
    drawn = {key: value for key, value in ENTRY.items() if key != "label"} | {
        "objects": [{"class": "star", "box": [1, 2, 3, 4], "mask": {"size": [5, 6], "counts": "P"}}]
    }
    answers.append(
        JSONResponse(
            {
                "prediction_id": PREDICTION,
                "pipeline": "p",
                "release": "1",
                "feedback": [ENTRY, drawn],
            }
        )
    )
    first, second = ask("feedback_history", PREDICTION).feedback
    assert (first.label, first.reader, first.objects) == ("cancer", "A. Reader", None)
    assert second.objects == (
        LabelledObject(class_name="star", box=Box(1, 2, 3, 4), mask=Mask(size=(5, 6), counts="P")),
    )


def test_cases_are_asked_for_by_time_and_page(ask, service, answers):
    case = {
        "prediction_id": PREDICTION, "at": "now", "pipeline": "p", "release": "1", "site": "north",
        "image_kept": True, "prediction": "cancer", "confidence": 0.9, "level": "low",
        "feedback": [ENTRY],
    }  # fmt: skip
    answers.append(JSONResponse({"cases": [case], "next": PREDICTION}))
    page = ask(
        "cases", "p", unlabelled=True, since=datetime(2026, 11, 1, tzinfo=UTC), until=None, limit=7
    )
    assert service.seen[-1].query == {
        "pipeline": "p", "unlabelled": "true", "since": "2026-11-01T00:00:00+00:00", "limit": "7"
    }  # fmt: skip
    assert (page.next, page.cases[0].image_kept) == (PREDICTION, True)
    assert page.cases[0].feedback[0].label == "cancer"


def test_a_kept_image_is_what_was_sent(ask, service, answers):
    answers += [JSONResponse({}, headers={"x": "1"}), problem(404, "image_not_kept")]
    assert ask("kept_image", PREDICTION) == b"{}"
    with pytest.raises(NotFoundError) as caught:
        ask("kept_image", PREDICTION)
    assert caught.value.code == "image_not_kept"


def test_deletions_say_whether_there_was_something(ask, service, answers):
    answers += [JSONResponse({"deleted": True}), JSONResponse({"deleted": False})]
    assert ask("delete_kept_image", PREDICTION).deleted
    assert (service.seen[-1].method, service.seen[-1].path.rpartition("/")[2]) == (
        "DELETE",
        "image",
    )
    assert not ask("delete_comment", PREDICTION, "f").deleted
    assert service.seen[-1].path == f"/api/v1/predictions/{PREDICTION}/feedback/f/comment"


def test_an_answer_of_another_shape_is_told(ask, answers):
    answers.append(JSONResponse({"deleted": "perhaps"}))
    with pytest.raises(UnexpectedAnswerError, match="deleted"):
        ask("delete_kept_image", PREDICTION)


def test_consent_to_keep_an_image_is_a_header(ask, service):
    for choice, sent in ((True, "yes"), (False, "no"), (None, None)):
        ask("predict", b"cancer 0.9", keep_image=choice)
        assert service.seen[-1].headers.get("x-keep-image") == sent
    ask("predict_batch", [b"cancer 0.9"], keep_image=True)
    assert service.seen[-1].headers["x-keep-image"] == "yes"


def test_the_command_records_a_class(command, service, answers):
    receipt = {"id": "f", "prediction_id": PREDICTION, "at": "now", "receipt": RECEIPT}
    answers.append(JSONResponse(receipt, 201))
    run = command("feedback", PREDICTION, "--label", "cancer", "--comment", "Biopsy.")
    assert (run.exit_code, run.stdout) == (0, "recorded: f\n")
    assert json.loads(service.seen[-1].body) == {
        "label": "cancer", "kind": "correction", "comment": "Biopsy."
    }  # fmt: skip


def test_the_command_reads_objects_from_a_file(command, service, answers, tmp_path):
    receipt = {"id": "f", "prediction_id": PREDICTION, "at": "now", "receipt": RECEIPT}
    answers.append(JSONResponse(receipt, 201))
    file = tmp_path / "objects.json"
    file.write_text('[{"class": "star", "box": [1, 2, 3, 4]}]')
    assert (
        command("feedback", PREDICTION, "--objects", str(file), "--kind", "before").exit_code == 0
    )
    assert json.loads(service.seen[-1].body)["objects"] == [{"class": "star", "box": [1, 2, 3, 4]}]
    file.write_text('[{"box": [1, 2, 3, 4]}]')
    run = command("feedback", PREDICTION, "--objects", str(file))
    assert run.exit_code == 2
    assert "write a JSON list of objects" in run.stderr


def test_the_command_shows_what_was_said(command, answers):
    deleted = ENTRY | {"reader": None, "deleted": True, "label": "healthy"}
    answers.append(
        JSONResponse(
            {
                "prediction_id": PREDICTION,
                "pipeline": "p",
                "release": "1",
                "feedback": [ENTRY, deleted],
            }
        )
    )
    run = command("feedback", PREDICTION)
    assert run.exit_code == 0
    for word in ("correction", "cancer", "A. Reader", "healthy", "(deleted)"):
        assert word in run.stdout


def test_the_command_refuses_a_comment_without_a_finding_and_says_what_the_service_says(
    command, answers
):
    run = command("feedback", PREDICTION, "--comment", "Biopsy.")
    assert run.exit_code == 2
    assert "--label or --objects" in " ".join(run.stderr.split())
    answers.append(problem(404, "prediction_unknown", "prediction: you have none of this id."))
    run = command("feedback", PREDICTION, "--label", "cancer")
    assert run.exit_code == 2
    assert "you have none of this id" in run.stderr
