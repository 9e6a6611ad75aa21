"""From answers through feedback to figures and a labelled set, by the real parts alone."""

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from secondopinion import Client, DeadlineError, NotFoundError

from tests.integration.service import ROOT

PIPELINE, PHOTOS = "tight", 6


@pytest.fixture
def evaluate(service, tmp_path):
    def run(*words):
        environment = os.environ | {"SECONDOPINION_URL": service.url, "PYTHONPATH": str(ROOT)}
        return subprocess.run(
            [sys.executable, "-m", "evaluation", *words],
            cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip

    return run


def test_feedback_becomes_figures_and_kept_images_a_labelled_set(
    service, oral_cancer, evaluate, tmp_path
):
    service.wait_ready()
    photos = oral_cancer.files[:PHOTOS]
    with Client(service.url) as client:
        answers = [_answer(client, photo) for photo in photos]
        assert all(answer.kept for answer in answers)
        # Of the last photo the models are wrong.
        labels = [answer.prediction for answer in answers]
        labels[-1] = "cancer" if labels[-1] == "healthy" else "healthy"
        for answer, label in zip(answers, labels, strict=True):
            client.feedback(answer.prediction_id, label="healthy", kind="before")
            client.feedback(answer.prediction_id, label=label, comment="Biopsy.")
        kept = [client.kept_image(answer.prediction_id) for answer in answers]
    assert kept == photos
    _assert_encrypted(photos[0], answers[0].prediction_id)

    ended = evaluate(PIPELINE, "--from-feedback", "--out", "figures")
    assert ended.returncode == 0, ended.stderr
    report = json.loads((tmp_path / "figures" / "report.json").read_text("utf-8"))
    (release,) = report["releases"]
    assert (release["accuracy"]["count"], release["accuracy"]["of"]) == (PHOTOS - 1, PHOTOS)
    assert release["name"] == answers[0].release
    assert sum(report["readings"].values()) == PHOTOS

    ended = evaluate("export-kept", PIPELINE, "kept")
    assert (ended.returncode, ended.stderr) == (0, "")
    again = _evaluated(evaluate, tmp_path / "again")
    assert (again["photos"], again["scores"]["accuracy"]["count"]) == (PHOTOS, PHOTOS - 1)

    with Client(service.url) as client:
        assert client.delete_kept_image(answers[0].prediction_id).deleted
        with pytest.raises(NotFoundError, match="image_not_kept"):
            client.kept_image(answers[0].prediction_id)


def _answer(client: Client, photo: bytes):
    """Asks again, at most 50 times, where a busy machine meets the pipeline's little patience."""
    for _ in range(49):
        with suppress(DeadlineError):
            return client.predict_advanced(photo, pipeline=PIPELINE, keep_image=True)
    return client.predict_advanced(photo, pipeline=PIPELINE, keep_image=True)


def _evaluated(evaluate, out: Path):
    """The report; asks again, at most 9 times, for the same reason."""
    for _ in range(10):
        ended = evaluate(PIPELINE, "kept/labels.csv", "--out", out, "--concurrency", "1")
        if "(504 deadline" not in ended.stderr:
            break
    assert ended.returncode == 0, ended.stderr
    return json.loads((out / "report.json").read_text("utf-8"))


def _assert_encrypted(photo: bytes, prediction: str) -> None:
    stored = Path(os.environ["GATEWAY_KEPT_IMAGES"], PIPELINE, f"{prediction}.kept").read_bytes()
    assert len(stored) > len(photo)
    assert photo[:32] not in stored
    assert photo[-32:] not in stored
