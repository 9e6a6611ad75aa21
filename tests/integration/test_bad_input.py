"""Every bad input gets its status with a problem document, and the next good request succeeds."""

import base64
import io
import json
import struct
import zlib

import pytest

from tests import photos

GOOD = photos.encoded(photos.photo(1))
PREDICT = "/api/v1/predict"


def huge_png(side: int) -> bytes:
    """A PNG of side x side black pixels, a few kilobytes: a decompression bomb."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    row = b"\0" + bytes(side // 8 + 1)
    packer = zlib.compressobj(9)
    data = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


def as_json(image: str) -> dict:
    return {"json": {"image": image}}


BAD = {
    "an empty file": (PREDICT, {"files": {"file": b""}}, 422, "image_empty"),
    "text named .jpg": (PREDICT, {"files": {"file": ("a.jpg", b"hello")}}, 415, "image_format"),
    "a truncated JPEG": (
        PREDICT, {"files": {"file": GOOD[: len(GOOD) // 2]}}, 422, "image_undecodable"),
    "a broken PNG header": (
        PREDICT, {"files": {"file": b"\x89PNG\r\n\x1a\n" + bytes(40)}}, 422, "image_undecodable"),
    "30,000 x 30,000 pixels": (
        PREDICT, {"files": {"file": huge_png(30_000)}}, 413, "image_too_large"),
    "over 10 MB": (PREDICT, {"files": {"file": GOOD + bytes(11 << 20)}}, 413, "body_too_large"),
    "over 10 MB, raw": (
        PREDICT,
        {"content": GOOD + bytes(11 << 20), "headers": {"content-type": "image/jpeg"}},
        413, "body_too_large"),
    "a wrong field name": (PREDICT, {"files": {"photo": GOOD}}, 422, "field_missing"),
    "no file": (PREDICT, {}, 422, "field_missing"),
    "no file in the form": (PREDICT, {"files": {"other": (None, "text")}}, 422, "field_missing"),
    "broken multipart": (
        PREDICT,
        {
            "content": b"--x\r\nnonsense",
            "headers": {"content-type": "multipart/form-data; boundary=x"},
        },
        400, "malformed_body"),
    "200 files in a batch": (
        f"{PREDICT}/batch", {"files": [("files", GOOD)] * 200}, 413, "too_many_files"),
    "no files in a batch": (
        f"{PREDICT}/batch", {"files": [("other", GOOD)]}, 422, "field_missing"),
    "an unknown pipeline": (
        "/api/v1/pipelines/lung/predict", {"files": {"file": GOOD}}, 404, "pipeline_unknown"),
    "a path for a pipeline": (
        "/api/v1/pipelines/..%2F..%2Fetc/predict", {"files": {"file": GOOD}}, 404, "not_found"),
    "an unknown member": (
        f"{PREDICT}?member=resnet", {"files": {"file": GOOD}}, 404, "member_unknown"),
    "broken base64": (PREDICT, as_json("not base64 at all!"), 400, "malformed_body"),
    "broken JSON": (
        PREDICT, {"content": b"{", "headers": {"content-type": "application/json"}},
        400, "malformed_body"),
    "JSON without the image": (PREDICT, {"json": {"picture": ""}}, 422, "field_missing"),
    "JSON of a list": (PREDICT, {"json": [1]}, 400, "malformed_body"),
    "JSON of a number": (PREDICT, {"json": {"image": 7}}, 400, "malformed_body"),
    "a content type of no image": (
        PREDICT, {"content": b"x", "headers": {"content-type": "text/plain"}},
        415, "content_type_unsupported"),
    "a threshold of NaN": (
        f"{PREDICT}?threshold=nan", {"files": {"file": GOOD}}, 422, "parameter_invalid"),
    "a threshold of 7": (
        f"{PREDICT}?threshold=7", {"files": {"file": GOOD}}, 422, "parameter_invalid"),
    "a threshold of words": (
        f"{PREDICT}?threshold=high", {"files": {"file": GOOD}}, 422, "parameter_invalid"),
    "top_k for two classes": (
        f"{PREDICT}?top_k=2", {"files": {"file": GOOD}}, 422, "parameter_unknown"),
    "an unknown parameter": (
        f"{PREDICT}?treshold=0.4", {"files": {"file": GOOD}}, 422, "parameter_unknown"),
    "an unknown route": ("/api/v1/diagnose", {"files": {"file": GOOD}}, 404, "not_found"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD.values(), ids=BAD.keys())
def test_bad_input_gets_its_status_and_the_next_good_request_succeeds(http, case):
    path, request, status, code = case
    answer = http.post(path, **request)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == answer.status_code
    assert problem["code"] == code
    assert problem["title"]
    assert len(problem["detail"]) > 10
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert "Traceback" not in answer.text
    assert http.post(PREDICT, files={"file": GOOD}).status_code == 200


def test_a_get_of_predict_is_a_problem_too(http):
    answer = http.get(PREDICT)
    assert answer.status_code == 405
    assert answer.json()["code"] == "method_not_allowed"
    assert "POST" in answer.headers["allow"]


def test_a_bad_file_in_a_batch_gets_its_error_in_its_place(http):
    files = [
        ("files", ("good.jpg", GOOD)),
        ("files", ("text.jpg", b"hello")),
        ("files", ("cut.jpg", GOOD[:2000])),
        ("files", ("good.png", photos.encoded(photos.photo(2), "PNG"))),
    ]
    answer = http.post(f"{PREDICT}/batch", files=files)
    assert answer.status_code == 200
    body = answer.json()
    assert [item["filename"] for item in body["results"]] == [name for _, (name, _) in files]
    assert [item.get("error", {}).get("status") for item in body["results"]] == [
        None, 415, 422, None,
    ]  # fmt: skip
    summary = body["summary"]
    answered = [item for item in body["results"] if "prediction" in item]
    assert (summary["total"], summary["failed"]) == (4, 2)
    assert sum(summary["counts"].values()) == 2
    assert summary["cancer_detected"] == summary["counts"]["cancer"]
    mean = sum(item["confidence"] for item in answered) / 2
    assert summary["average_confidence"] == pytest.approx(mean, abs=1e-6)


def test_a_batch_of_bad_files_is_a_problem_that_keeps_the_results(http):
    files = [("files", ("a.jpg", b"hello")), ("files", ("b.jpg", b"world"))]
    answer = http.post(f"{PREDICT}/batch", files=files)
    assert answer.status_code == 415
    assert answer.headers["content-type"] == "application/problem+json"
    assert [item["error"]["status"] for item in answer.json()["results"]] == [415, 415]
    assert answer.json()["summary"]["average_confidence"] is None


def test_the_three_ways_to_send_an_image_give_one_answer(http):
    ways = [
        {"files": {"file": GOOD}},
        {"content": GOOD, "headers": {"content-type": "image/jpeg"}},
        {"content": GOOD, "headers": {"content-type": "application/octet-stream"}},
        as_json(base64.b64encode(GOOD).decode()),
        as_json("data:image/jpeg;base64," + base64.b64encode(GOOD).decode()),
    ]
    answers = [http.post(PREDICT, **way) for way in ways]
    assert {answer.status_code for answer in answers} == {200}
    assert len({json.dumps(answer.json()["probabilities"]) for answer in answers}) == 1


def test_neither_file_names_nor_pixels_reach_the_log(http, service):
    http.post(PREDICT, files={"file": ("Jane-Doe-1970.jpg", GOOD)})
    http.post(f"{PREDICT}/batch", files=[("files", ("Jane-Doe-1970.jpg", b"hello"))])
    buffer = io.BytesIO()
    photos.photo(3).save(buffer, "JPEG", comment=b"Jane-Doe-1970")
    http.post(PREDICT, files={"file": buffer.getvalue()[:3000]})
    folder = service.log.parent
    assert "Jane-Doe" not in service.log.read_text("utf-8", "replace")
    assert not [path for path in folder.rglob("*.log") if b"Jane-Doe" in path.read_bytes()]
    assert "Jane-Doe" not in http.get("/metrics").text
