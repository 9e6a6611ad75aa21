"""Clients that offer an upgrade to HTTP/2 are answered as all others are, with the same numbers."""

import json
import subprocess

import pytest

from tests.unit.gateway.http.raw_http import LAST, exchange, java, statuses

VOLATILE = {"request_id", "prediction_id", "receipt", "compute_ms", "processing_time_ms"}


@pytest.fixture
def expected(http, oral_cancer):
    answer = http.post("/api/v1/predict", files={"file": oral_cancer.files[0]})
    assert answer.status_code == 200
    return stable(answer.json())


def stable(answer: dict) -> dict:
    return {name: value for name, value in answer.items() if name not in VOLATILE}


@pytest.mark.parametrize("late", [False, True], ids=["at once", "late"])
def test_javas_http_client_is_answered_twice_on_one_connection(
    service, oral_cancer, expected, late
):
    photo = oral_cancer.files[0]
    sent = java(photo).replace(b"/first", b"/api/v1/predict")
    head = len(sent) - len(photo)
    segments = [sent[:head], sent[head:]] if late else [sent]
    answer = exchange(("127.0.0.1", service.gateway), *segments, *segments, LAST)
    assert statuses(answer) == [200, 200, 404]
    decoder = json.JSONDecoder()
    texts = answer.decode().split("\r\n\r\n")[1:3]
    assert [stable(decoder.raw_decode(text)[0]) for text in texts] == [expected, expected]


def test_curl_that_offers_http_2_is_answered(service, oral_cancer, expected, tmp_path):
    version = subprocess.run(["curl", "--version"], capture_output=True, text=True, check=True)
    assert "HTTP2" in version.stdout, "this test needs a curl with HTTP/2"
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(oral_cancer.files[0])
    for body in (["-F", f"file=@{photo}"], ["-H", "Content-Type: image/jpeg", "-T", str(photo)]):
        asked = ["curl", "-sS", "--http2", "-X", "POST", *body, f"{service.url}/api/v1/predict"]
        answer = subprocess.run(asked, capture_output=True, check=True, timeout=60)
        assert stable(json.loads(answer.stdout)) == expected
