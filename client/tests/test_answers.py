import inspect
import io

import pytest
from secondopinion import AsyncClient, Client, Member, UnexpectedAnswerError

from client.tests import documents
from client.tests.service import JSONResponse

GOOD = b"cancer 0.95"


def test_a_prediction_carries_what_the_service_said(ask):
    answer = ask("predict", GOOD)
    assert answer.prediction == "cancer"
    assert answer.confidence == 0.95
    assert answer.probabilities == {"cancer": 0.95, "healthy": 0.05}
    assert answer.threshold == 0.5
    assert answer.pipeline == "oral_cancer"
    assert answer.members["vgg16"] == Member(version="1", sha256="aa11")
    assert not answer.demo


def test_fields_of_a_newer_service_are_kept_in_raw(ask):
    assert ask("predict", GOOD).raw["from_a_newer_service"] == {"unknown": [1, 2, 3]}


def test_the_answer_as_received_is_left_out_where_one_is_printed(ask):
    assert "newer_service" not in repr(ask("predict", GOOD))
    assert "confidence=0.95" in repr(ask("predict", GOOD))


def test_a_field_of_a_newer_service_may_have_the_name_of_a_detectors(ask, service):
    good = {"request_id": "1", "pipeline": "p", "release": "1", "prediction": "a", "confidence": 1}
    service.replies.append(JSONResponse(good | {"predictions": 7}))
    assert ask("predict", GOOD).prediction == "a"


def test_demo_weights_are_recognised(ask, service):
    service.demo = True
    assert ask("predict", GOOD).demo


def test_an_advanced_prediction_adds_uncertainty_and_each_members_opinion(ask):
    answer = ask("predict_advanced", GOOD)
    assert answer.uncertainty.level == "low"
    assert answer.uncertainty.disagreement == 0.04
    assert answer.models["regnet"].prediction == "cancer"
    assert answer.models["regnet"].weight == 0.5
    assert answer.members["regnet"].sha256 == "bb22"


def test_an_answer_carries_its_prediction_set_and_whether_it_is_calibrated(ask):
    answer = ask("predict", b"cancer 0.7 cancer,healthy")
    assert (answer.calibrated, answer.coverage) == (True, 0.95)
    assert answer.prediction_set == ("cancer", "healthy")
    assert ask("predict_advanced", b"cancer 0.7 none").prediction_set == ()
    without = ask("predict", GOOD)
    assert (without.calibrated, without.coverage, without.prediction_set) == (False, None, None)


def test_an_answer_carries_the_quality_of_the_photo(ask):
    answer = ask("predict", b"cancer 0.7 blurred")
    assert [warning.code for warning in answer.quality.warnings] == ["blurred"]
    assert answer.quality.warnings[0].detail == "The image is blurred. Repeat the photo."
    assert (answer.quality.sharpness, answer.quality.blocking) == (3.5, None)
    assert ask("predict_advanced", GOOD).quality.warnings == ()
    found = ask("detect", b"found circle 0.9 blurred", pipeline="object_detection")
    assert found.quality.warnings[0].code == "blurred"


def test_a_batch_counts_the_photos_with_a_warning(ask):
    batch = ask("predict_batch", [GOOD, b"cancer 0.7 blurred", b"bad"])
    assert [bool(item.quality and item.quality.warnings) for item in batch.results] == [
        False,
        True,
        False,
    ]
    assert (batch.summary.warned, batch.summary.warnings) == (1, {"blurred": 1})


def test_an_answer_says_whether_the_image_is_of_the_models_kind(ask):
    usual = ask("predict", b"cancer 0.7").input
    assert (usual.typical, usual.typicality, usual.recommendation) == (True, 0.4, None)
    strange = ask("predict_advanced", b"cancer 0.7 strange").input
    assert (strange.typical, strange.typicality, strange.views) == (False, 0.002, ("picture",))
    assert strange.recommendation == "Do not use the result."
    found = ask("detect", b"found circle 0.9 strange", pipeline="object_detection").input
    assert found.typical is False
    batch = ask("predict_batch", [b"cancer 0.7", b"cancer 0.7 strange"])
    assert [item.input.typical for item in batch.results] == [True, False]
    assert batch.summary.atypical == 1


def test_an_answer_says_what_it_cost_to_compute(ask):
    assert ask("predict", GOOD).compute_ms == 12.25
    assert ask("predict", GOOD).compute_estimated is False
    assert ask("detect", b"found circle 0.9", pipeline="object_detection").compute_ms == 12.25
    batch = ask("predict_batch", [GOOD, GOOD, b"bad"])
    assert [item.compute_ms for item in batch.results] == [12.25, 12.25, None]
    assert batch.summary.compute_ms == 24.5


@pytest.mark.parametrize("method", ["predict", "predict_advanced"])
def test_an_answer_shows_where_each_member_looked_where_that_is_asked_for(ask, method):
    found = ask(method, GOOD, explain=True).explanation
    assert (found.class_name, found.grid) == ("cancer", 3)
    vgg16, regnet = found.members["vgg16"], found.members["regnet"]
    assert (vgg16.score, vgg16.cells[0]) == (0.95, (0.0, 0.5, -0.25))
    assert (vgg16.faithfulness.hottest_hidden, vgg16.faithfulness.random_hidden) == (0.45, 0.9)
    assert (vgg16.faithfulness.faithful, regnet.faithfulness.faithful) == (True, False)
    assert ask(method, GOOD).explanation is None


def test_choices_become_path_and_query(ask, service):
    ask("predict", GOOD, pipeline="oral_cancer", threshold=0.4, top_k=2, member="vgg16")
    (seen,) = service.asked
    assert seen.path == "/api/v1/pipelines/oral_cancer/predict"
    assert seen.query == {"threshold": "0.4", "top_k": "2", "member": "vgg16"}


def test_one_member_can_be_asked_alone(ask):
    answer = ask("predict", GOOD, member="vgg16")
    assert answer.member == "vgg16"
    assert list(answer.members) == ["vgg16"]


def test_a_misspelt_choice_is_a_type_error_before_anything_is_sent(ask, service):
    with pytest.raises(TypeError, match="treshold"):
        ask("predict", GOOD, treshold=0.4)
    assert not service.seen


@pytest.mark.parametrize("kind", ["path", "str", "bytes", "bytearray", "file", "stream"])
def test_an_image_may_be_a_path_bytes_or_a_binary_file(ask, service, tmp_path, kind):
    path = tmp_path / "Jane Doe.jpg"
    path.write_bytes(GOOD)
    with path.open("rb") as opened:
        image = {
            "path": path,
            "str": str(path),
            "bytes": GOOD,
            "bytearray": bytearray(GOOD),
            "file": opened,
            "stream": io.BytesIO(GOOD),
        }[kind]
        assert ask("predict", image).prediction == "cancer"
    (seen,) = service.asked
    assert seen.body == GOOD


def test_file_names_never_leave_the_machine(ask, service, tmp_path):
    path = tmp_path / "Jane Doe.jpg"
    path.write_bytes(GOOD)
    ask("predict", path)
    assert ask("predict_batch", [path]).results[0].filename == str(path)
    for seen in service.asked:
        assert b"Jane" not in seen.body
        assert "Jane" not in str(seen.headers)


def test_a_missing_file_is_an_os_error_before_anything_is_sent(ask, service, tmp_path):
    with pytest.raises(FileNotFoundError):
        ask("predict", tmp_path / "none.jpg")
    assert not service.seen


def test_a_file_opened_as_text_is_refused(ask):
    with pytest.raises(TypeError, match="binary"):
        ask("predict", io.StringIO("text"))


def test_a_batch_keeps_the_order_and_gives_a_bad_image_its_own_error(ask):
    result = ask("predict_batch", [GOOD, b"bad", b"healthy 0.85"])
    assert [item.prediction for item in result.results] == ["cancer", None, "healthy"]
    assert [item.filename for item in result.results] == ["image 0", "image 1", "image 2"]
    assert result.results[1].error.code == "image_undecodable"
    assert result.results[0].uncertainty.level == "low"
    assert (result.summary.total, result.summary.failed) == (3, 1)
    assert result.summary.counts == {"healthy": 1, "cancer": 1}
    assert result.summary.average_confidence == pytest.approx(0.9)


def test_a_batch_without_one_good_image_is_still_a_result(ask):
    result = ask("predict_batch", [b"bad 1", b"bad 2"])
    assert [item.error.status for item in result.results] == [422, 422]
    assert result.summary.average_confidence is None
    assert result.pipeline is None


@pytest.mark.parametrize(("images", "error"), [([], ValueError), ("a.jpg", TypeError)])
def test_a_batch_of_nothing_or_of_a_single_string_is_refused(ask, images, error):
    with pytest.raises(error, match="images"):
        ask("predict_batch", images)


def test_the_pipelines_are_listed_and_described(ask):
    offered = ask("pipelines")
    assert offered.default == "oral_cancer"
    pipeline = next(iter(offered))
    assert pipeline == ask("pipeline", "oral_cancer")
    assert not pipeline.detects
    assert pipeline.classes == ("healthy", "cancer")
    assert pipeline.threshold.maximum == 0.95
    assert (pipeline.limits.bytes, pipeline.limits.aspect) == (10485760, 50)
    assert pipeline.members["vgg16"].format == "onnx"


def test_readiness_is_asked_once_and_is_no_error(ask, service):
    assert ask("ready") is True
    service.ready = False
    assert ask("ready", "oral_cancer") is False
    assert [seen.query for seen in service.seen] == [{}, {"pipeline": "oral_cancer"}]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"confidence": "high"}, "confidence"),
        ({"confidence": True}, "confidence"),
        ({"prediction": None}, "prediction"),
        ({"members": {"vgg16": {"version": 1}}}, "version"),
        ({"probabilities": {"cancer": "0.9"}}, "probabilities"),
    ],
)
def test_an_answer_of_another_shape_names_the_field(ask, service, change, named):
    good = {"request_id": "1", "pipeline": "p", "release": "1", "prediction": "a", "confidence": 1}
    service.replies.append(JSONResponse(good | change))
    with pytest.raises(UnexpectedAnswerError, match=named):
        ask("predict", GOOD)


def test_a_batch_whose_names_the_service_does_not_say_has_the_callers(ask, service):
    summary = {"total": 1, "failed": 0}
    item = {"index": 0, "filename": None, "prediction": "cancer", "confidence": 0.9}
    service.replies.append(JSONResponse({"results": [item], "summary": summary}))
    (only,) = ask("predict_batch", [GOOD]).results
    assert (only.filename, only.prediction) == ("image 0", "cancer")


def test_an_answer_without_a_field_names_it(ask, service):
    service.replies.append(JSONResponse({"request_id": "1", "pipeline": "p", "prediction": "a"}))
    with pytest.raises(UnexpectedAnswerError, match="missing required field `"):
        ask("predict", GOOD)


def test_a_pipeline_of_another_shape_names_the_field(ask, service, monkeypatch):
    whole = documents.pipeline
    monkeypatch.setattr(documents, "pipeline", lambda *args: whole(*args) | {"classes": "ab"})
    with pytest.raises(UnexpectedAnswerError, match=r"\$\.pipelines\[0\]\.classes"):
        ask("pipelines")
    with pytest.raises(UnexpectedAnswerError, match=r"\$\.classes"):
        ask("pipeline", "oral_cancer")


def test_a_batch_that_lacks_an_image_is_not_taken(ask, service):
    summary = {"total": 1, "failed": 0}
    service.replies.append(JSONResponse({"results": [], "summary": summary}))
    with pytest.raises(UnexpectedAnswerError, match="0 for 1"):
        ask("predict_batch", [GOOD])


@pytest.mark.parametrize(
    ("method", "place", "missing"),
    [
        ("predict_batch", {"prediction": "cancer"}, "confidence"),
        ("predict_batch", {}, "prediction"),
        ("detect_batch", {"predictions": []}, "image"),
        ("detect_batch", {}, "image"),
    ],
)
def test_a_place_of_a_batch_with_neither_answer_nor_error_is_not_taken(
    ask, service, method, place, missing
):
    summary = {"total": 1, "failed": 0}
    results = [{"index": 0, "filename": "image-0"} | place]
    service.replies.append(JSONResponse({"results": results, "summary": summary}))
    with pytest.raises(UnexpectedAnswerError) as caught:
        ask(method, [GOOD])
    assert f"`{missing}` - at `$.results[0]`" in str(caught.value)


def test_both_clients_offer_the_same_methods():
    def methods(kind):
        found = {
            name: inspect.signature(function)
            for name, function in vars(kind).items()
            if not name.startswith("_")
        }
        return {
            name: str(found[name]).replace("AsyncIterator[", "Iterator[")
            for name in found
            if name not in {"close", "aclose"}
        }

    assert methods(Client) == methods(AsyncClient)
