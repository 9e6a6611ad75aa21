"""Feedback over HTTP: appended, listed, and refused."""

import json

import pytest
from sqlalchemy import func, update

from database.engine import open_engine
from database.outages import DatabaseUnavailableError
from database.tables import predictions
from database.verification import verify
from database.writer import Writer
from gateway.feedback import records
from gateway.feedback import shapes as feedback_shapes
from gateway.identity.principal import Role
from gateway.results.shapes import adapter
from pipelines.load import load_spec
from tests.unit.gateway.feedback.conftest import rows_of
from tests.unit.gateway.samples import JPEG, RAW, assert_problem
from tests.unit.gateway.toy_triton import release_of

pytestmark = pytest.mark.anyio
DETECTION = load_spec("object_detection")
CANARY = "Jane Doe, born 1970"


@pytest.fixture
def history(service):
    async def ask(prediction, name="north"):
        path = f"/api/v1/predictions/{prediction}/feedback"
        return await service.get(path, headers=service.by(name))

    return ask


@pytest.fixture
def entries(history):
    async def ask(prediction, name="north"):
        response = await history(prediction, name)
        assert response.status_code == 200, response.text
        adapter(feedback_shapes.FeedbackHistory).validate_json(response.content)
        return response.json()["feedback"]

    return ask


@pytest.fixture
def cases(service):
    async def ask(name="north", **query):
        query = {"pipeline": "oral_cancer", **query}
        response = await service.get("/api/v1/feedback", params=query, headers=service.by(name))
        assert response.status_code == 200, response.text
        adapter(feedback_shapes.Cases).validate_json(response.content)
        return response.json()

    return ask


async def test_a_feedback_is_a_row_of_the_audit_log_and_its_answer_says_which(
    service, predict, say, triton
):
    prediction = await predict()
    response = await say(prediction, label="cancer")
    assert response.status_code == 201, response.text
    adapter(feedback_shapes.FeedbackReceipt).validate_json(response.content)
    receipt = response.json()
    row = rows_of(service)[0][-1]
    assert receipt["id"] == row.id
    assert receipt["receipt"] == {
        "chain": row.chain, "position": row.position, "head": row.hash
    }  # fmt: skip
    assert (row.event, row.tenant, row.pipeline) == ("feedback", "north", "oral_cancer")
    assert (row.release, row.release_sha256) == (release_of(triton.spec), "9" * 64)
    assert json.loads(row.result) == {
        "prediction_id": prediction, "kind": "correction", "label": "cancer"
    }  # fmt: skip


async def test_corrections_are_appended_and_nothing_is_overwritten(service, predict, say, entries):
    prediction, other = await predict(), await predict()
    await say(prediction, kind="before", label="healthy", reader="A. Reader")
    await say(prediction, label="healthy")
    await say(other, label="healthy")
    await say(prediction, label="cancer", comment="Biopsy.")
    found = await entries(prediction)
    assert [(each["kind"], each["label"]) for each in found] == [
        ("before", "healthy"),
        ("correction", "healthy"),
        ("correction", "cancer"),
    ]
    assert [(each["reader"], each["comment"]) for each in found] == [
        ("A. Reader", None),
        (None, None),
        (None, "Biopsy."),
    ]
    assert {each["by"] for each in found} == {"north"}
    assert len(await entries(other)) == 1


async def test_what_may_name_people_is_in_no_row_of_the_log_and_no_line(
    service, predict, say, capfd
):
    prediction = await predict()
    await say(prediction, label="cancer", reader=CANARY, comment=CANARY * 2)
    log, comments = rows_of(service)
    assert CANARY not in str(log)
    assert CANARY in str(comments)
    result = json.loads(log[-1].result)
    assert len(result["reader_digest"]) == len(result["comment_digest"]) == 64
    assert result["reader_digest"] != result["comment_digest"]
    assert "Jane" not in "".join(capfd.readouterr())


async def test_equal_names_have_different_digests(service, predict, say):
    prediction = await predict()
    for _ in range(2):
        await say(prediction, label="cancer", reader=CANARY)
    digests = {json.loads(row.result).get("reader_digest") for row in rows_of(service)[0][-2:]}
    assert len(digests) == 2


async def test_a_deleted_comment_is_gone_and_the_finding_stays(service, predict, say, entries):
    prediction = await predict()
    feedback = (await say(prediction, label="cancer", reader=CANARY, comment="!")).json()["id"]
    path = f"/api/v1/predictions/{prediction}/feedback/{feedback}/comment"
    assert_problem(
        await service.delete(path, headers=service.by("south")), 404, "prediction_unknown"
    )
    for deleted in (True, False):
        response = await service.delete(path, headers=service.by("north"))
        assert response.json() == {"deleted": deleted}
    (entry,) = await entries(prediction)
    assert (entry["label"], entry["reader"], entry["comment"]) == ("cancer", None, None)
    assert entry["deleted"]
    assert rows_of(service)[1] == []


async def test_the_chain_verifies_without_a_deleted_comment_and_shows_a_changed_finding(
    service, predict, say
):
    prediction = await predict()
    feedback = (await say(prediction, label="cancer", comment=CANARY)).json()["id"]
    path = f"/api/v1/predictions/{prediction}/feedback/{feedback}/comment"
    assert (await service.delete(path, headers=service.by("north"))).json() == {"deleted": True}
    engine = open_engine(service.database)
    assert verify(engine, None).findings == []
    with engine.begin() as connection:
        changed = update(predictions).where(predictions.c.id == feedback)
        text = func.replace(predictions.c.result, "cancer", "healthy")
        connection.execute(changed.values(result=text))
    (finding,) = verify(engine, None).findings
    engine.dispose()
    assert finding.position == 2


async def test_another_callers_prediction_is_not_there(service, predict, say, history):
    prediction = await predict("north")
    assert_problem(await say(prediction, "south", label="cancer"), 404, "prediction_unknown")
    assert_problem(await history(prediction, "south"), 404, "prediction_unknown")
    assert "feedback" not in {row.event for row in rows_of(service)[0]}


async def test_an_auditor_reads_all_and_may_not_say_anything_of_others(
    service, predict, say, entries
):
    prediction = await predict("north")
    await say(prediction, label="cancer")
    assert len(await entries(prediction, "audit")) == 1
    assert_problem(await say(prediction, "audit", label="cancer"), 404, "prediction_unknown")


async def test_without_the_role_or_the_pipeline_it_is_forbidden(
    service, predict, say, callers, new_key
):
    prediction = await predict("north")
    callers["asker"] = new_key("north", (Role.PREDICT,))
    callers["elsewhere"] = new_key("north", (Role.FEEDBACK,), {"other"})
    for name in ("asker", "elsewhere"):
        assert_problem(await say(prediction, name, label="cancer"), 403, "forbidden")
        for path in (
            f"/api/v1/predictions/{prediction}/feedback",
            f"/api/v1/predictions/{prediction}/image",
            "/api/v1/feedback?pipeline=oral_cancer",
        ):
            response = await service.get(path, headers=service.by(name))
            assert_problem(response, 403, "forbidden")


@pytest.mark.parametrize(
    "prediction", ["none", "0190a3f2-7c1e-7000-8000-00000000000a", "%00" * 36, "0" * 5000]
)
async def test_feedback_to_no_prediction_is_refused(say, prediction):
    assert_problem(await say(prediction, label="cancer"), 404, "prediction_unknown")


async def test_a_feedback_that_there_is_not_has_no_comment(service, predict):
    path = f"/api/v1/predictions/{await predict()}/feedback"
    for feedback in ("none", "%00" * 36, "0190a3f2-7c1e-7000-8000-00000000000a"):
        response = await service.delete(f"{path}/{feedback}/comment", headers=service.by("north"))
        assert response.json() == {"deleted": False}


async def test_a_refused_image_and_a_feedback_are_no_predictions(service, predict, say):
    response = await service.post(
        "/api/v1/predict/batch",
        files=[("files", ("a", b"text", "image/jpeg")), ("files", ("b", JPEG, "image/jpeg"))],
        headers=service.by("north"),
    )
    refused, answered = (each["prediction_id"] for each in response.json()["results"])
    assert_problem(await say(refused, label="cancer"), 404, "prediction_unknown")
    feedback = (await say(answered, label="cancer")).json()["id"]
    assert_problem(await say(feedback, label="cancer"), 404, "prediction_unknown")


async def test_what_does_not_fit_is_refused_and_nothing_is_recorded(service, predict, say, entries):
    prediction = await predict()
    assert_problem(await say(prediction, label="tumour"), 422, "feedback_invalid")
    assert_problem(await say(prediction, objects=[]), 422, "feedback_invalid")
    assert_problem(await say(prediction, label="cancer", mood=1), 422, "feedback_invalid")
    path = f"/api/v1/predictions/{prediction}/feedback"
    for body, status, code in (
        (b"no json", 400, "malformed_body"),
        (b" " * (1024 * 1024 + 1), 413, "body_too_large"),
    ):
        response = await service.post(path, content=body, headers=service.by("north"))
        assert_problem(response, status, code)
    assert await entries(prediction) == []


async def test_a_prediction_takes_no_more_than_so_much_feedback(predict, say, entries, monkeypatch):
    monkeypatch.setattr(records, "MOST", 3)
    prediction, other = await predict(), await predict()
    for _ in range(3):
        assert (await say(prediction, label="cancer")).status_code == 201
    detail = assert_problem(await say(prediction, label="cancer"), 422, "feedback_invalid")[
        "detail"
    ]
    assert "3 entries" in detail
    assert len(await entries(prediction)) == 3
    assert (await say(other, label="cancer")).status_code == 201


async def test_while_nothing_can_be_written_it_is_refused_and_later_not_seen(
    service, predict, say, monkeypatch, entries
):
    prediction = await predict()

    async def fail(*_):
        raise DatabaseUnavailableError

    with monkeypatch.context() as patch:
        patch.setattr(Writer, "write_all", fail)
        response = await say(prediction, label="cancer", comment=CANARY)
        assert_problem(response, 503, "unavailable")
    assert await entries(prediction) == []
    assert rows_of(service)[1] == []


async def test_feedback_is_there_after_a_restart(service, predict, say, start):
    prediction = await predict()
    await say(prediction, label="cancer", comment="!")
    again = await start(auth="required")
    path = f"/api/v1/predictions/{prediction}/feedback"
    (entry,) = (await again.get(path, headers=service.by("north"))).json()["feedback"]
    assert (entry["label"], entry["comment"]) == ("cancer", "!")


@pytest.fixture
def detecting(triton):
    triton.serve(DETECTION)


@pytest.mark.usefixtures("detecting")
async def test_of_a_detector_all_objects_are_recorded_in_the_images_bounds(
    service, predict, say, entries, cases
):
    path = "/api/v1/pipelines/object_detection/predict"
    prediction = await predict(path=path)
    box = {"class": "star", "box": [0, 0, 640, 480]}
    assert (await say(prediction, objects=[box])).status_code == 201
    wide = {"class": "star", "box": [0, 0, 641, 480]}
    assert_problem(await say(prediction, objects=[wide]), 422, "feedback_invalid")
    (entry,) = await entries(prediction)
    assert entry["objects"] == [box]
    (case,) = (await cases(pipeline="object_detection"))["cases"]
    assert (case["image"], case["threshold"]) == ({"width": 640, "height": 480}, 0.5)
    assert case["detections"][1] == {"class": "circle", "score": 0.8, "box": [0, 0, 640, 480]}
    assert case["feedback"] == [entry]


async def test_cases_are_ones_own_predictions_with_feedback(service, predict, say, triton, cases):
    mine, theirs, silent = await predict(), await predict("south"), await predict()
    await predict(path="/api/v1/predict?member=vgg16")
    await say(mine, label="cancer")
    await say(theirs, "south", label="healthy")
    (case,) = (await cases())["cases"]
    answer = await service.post(
        "/api/v1/predict/advanced", content=JPEG, headers={**RAW, **service.by("north")}
    )
    answer = answer.json()
    assert case["prediction_id"] == mine
    assert (case["site"], case["release"]) == ("north", release_of(triton.spec))
    assert case["prediction"] == answer["prediction"]
    assert case["confidence"] == answer["confidence"]
    assert (case["level"], case["threshold"]) == (answer["uncertainty"]["level"], 0.5)
    assert ("member" in case, case["image_kept"]) == (False, False)
    found = (await cases("audit"))["cases"]
    assert [each["site"] for each in found] == ["north", "south"]
    listed = (await cases(unlabelled="true"))["cases"]
    assert [each["prediction_id"] for each in listed[:2]] == [mine, silent]
    assert [each.get("member") for each in listed] == [None, None, "vgg16", None]


async def test_what_is_read_or_deleted_is_a_row_and_a_refused_request_is_no_prediction(
    service, predict, say, cases
):
    prediction = await predict()
    await say(prediction, label="tumour")
    feedback = (await say(prediction, label="cancer", comment=CANARY)).json()["id"]
    path = f"/api/v1/predictions/{prediction}/feedback/{feedback}/comment"
    for _ in range(2):
        await service.delete(path, headers=service.by("north"))
    await cases("audit", limit=7)
    # What nobody waits for comes with the next one that somebody waits for.
    rows = {row.event: row for row in rows_of(service)[0]}
    assert [row.event for row in rows_of(service)[0]] == [
        "prediction", "refusal", "feedback", "comment_deleted", "audit_read"
    ]  # fmt: skip
    assert rows["refusal"].refusal == "feedback_invalid"
    assert json.loads(rows["comment_deleted"].parameters) == {
        "prediction_id": prediction, "feedback": feedback
    }  # fmt: skip
    read = rows["audit_read"]
    assert (read.tenant, read.pipeline) == ("office", "oral_cancer")
    assert json.loads(read.parameters)["limit"] == 8


async def test_cases_come_in_pages_that_miss_and_double_none(service, predict, cases):
    asked = [await predict() for _ in range(5)]
    found, after = [], {}
    for size in (2, 2, 1):
        page = await cases(unlabelled="true", limit=2, **after)
        assert len(page["cases"]) == size
        found += [case["prediction_id"] for case in page["cases"]]
        after = {"after": page["next"]}
    assert (found, page["next"]) == (sorted(asked), None)


async def test_cases_of_a_time_are_listed(service, predict, cases):
    await predict()
    (case,) = (await cases(unlabelled="true"))["cases"]
    assert (await cases(unlabelled="true", until=case["at"]))["cases"] == []
    assert (await cases(unlabelled="true", since=case["at"]))["cases"] == [case]
    assert (await cases(unlabelled="true", since="2999-01-01"))["cases"] == []


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "0"},
        {"limit": "1001"},
        {"since": "yesterday"},
        {"after": "x" * 36},
        {"after": "0" * 37},
        {"pipeline": "a\0b"},
        {"pipeline": ""},
    ],
)
async def test_a_query_of_another_form_is_refused(service, query):
    query = {"pipeline": "oral_cancer", **query}
    response = await service.get("/api/v1/feedback", params=query, headers=service.by("north"))
    assert_problem(response, 422, "parameter_invalid")
