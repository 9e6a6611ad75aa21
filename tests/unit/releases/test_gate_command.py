"""`python -m releases gate` and `canary` against a small service, and on recorded answers."""

import hashlib
import json
import shutil
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from prometheus_client.parser import text_string_to_metric_families

from lab.releases.canaries import Candidate, simulate
from pipelines.gate_verdict import kept
from pipelines.load import FOLDER
from releases.gate.answers import CanaryAnswers
from releases.gate.report import GateReport
from tests.releases_command import run
from tests.unit.evaluation.service import running


@pytest.fixture(scope="module")
def running_service():
    with running() as service:
        yield service


@pytest.fixture
def service(running_service, monkeypatch):
    for name in ("SECONDOPINION_URL", "SECONDOPINION_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    running_service.identity = "1-aaaaaaaa"
    running_service.releases.clear()
    return running_service


@pytest.fixture
def specs(tmp_path):
    """The YAML of the small service's pipelines; only the margins in them are read."""
    folder = tmp_path / "specs"
    folder.mkdir()
    for name, of in (("lesions", "oral_cancer"), ("objects", "object_detection")):
        text = (FOLDER / f"{of}.yaml").read_text()
        (folder / f"{name}.yaml").write_text(text.replace(f"name: {of}", f"name: {name}", 1))
    return folder


@pytest.fixture
def gate(capsys, specs, tmp_path):
    def of(pipeline, *arguments):
        where = ["--repository", tmp_path / "repository", "--specs", specs]
        return run(capsys, "gate", pipeline, *arguments, *where)

    return of


def labelled(folder, answers):
    """A CSV with two sites; each photo's bytes say how the small service answers it."""
    folder.mkdir()
    lines = ["site,file,label"]
    for number, (answer, label) in enumerate(answers):
        text = answer if isinstance(answer, str) else json.dumps(answer)
        (folder / f"{number}.jpg").write_text(text + " " * number)
        lines.append(f"{'north' if number % 2 else 'south'},{number}.jpg,{label}")
    (folder / "labels.csv").write_text("\n".join(lines))
    return folder / "labels.csv"


FEW = [([0.1, 0.9], "cancer"), ([0.9, 0.1], "healthy"), ([0.7, 0.3], "cancer"), ("bad", "cancer")]


def test_two_services_are_asked_about_the_same_photos(gate, service, tmp_path):
    labels = labelled(tmp_path / "set", FEW)
    current = tmp_path / "current.json"
    status, output, errors = gate("lesions", labels, "--current", service.url, "--by", "site",
                             "--record", current)  # fmt: skip
    assert (status, "4 photos, release 1-aaaaaaaa" in output) == (0, True)
    assert "1-aaaaaaaa has no answer to 1 photos" in errors
    recorded = CanaryAnswers.read(current)
    assert [photo.answered for photo in recorded.photos] == [True, True, True, False]
    assert [photo.groups["site"] for photo in recorded.photos[:2]] == ["south", "north"]
    assert recorded.photos[0].latency_ms == 1.5
    assert ".jpg" not in current.read_text()
    service.identity = "2-bbbbbbbb"
    status, output, _ = gate("lesions", labels, "--current", current, "--candidate", service.url,
                             "--by", "site")  # fmt: skip
    assert status == 3
    assert "positives do not show" in output
    (file,) = kept(tmp_path / "repository", "lesions", "2-bbbbbbbb")
    report = GateReport.read(file)
    assert (report.current, report.canaries.photos, report.canaries.unanswered) == (
        "1-aaaaaaaa",
        3,
        1,
    )
    assert {(each.name, each.group) for each in report.checks if each.column} == {
        ("sensitivity", "south"),
        ("specificity", "north"),
    }


def test_both_releases_of_one_service_are_asked_by_their_names(gate, service, tmp_path):
    labels = labelled(tmp_path / "set", FEW)
    state = {"pipeline": "lesions", "profile": "default", "revision": 2, "former": None, "share": 0}
    service.loaded = [state | {"current": "1-aaaaaaaa", "candidate": None, "loaded": []}]
    status, _, errors = gate("lesions", labels, "--service", service.url)
    assert (status, "there is no candidate: stage one" in errors) == (2, True)
    service.loaded[0] |= {"candidate": "2-bbbbbbbb", "loaded": ["1-aaaaaaaa"]}
    status, _, errors = gate("lesions", labels, "--service", service.url)
    assert (status, "2-bbbbbbbb is not loaded yet" in errors) == (2, True)
    service.loaded[0]["loaded"].append("2-bbbbbbbb")
    status, _, errors = gate("lesions", labels, "--service", service.url)
    assert (status, "1-aaaaaaaa has no answer to 1 photos" in errors) == (3, True)
    (file,) = kept(tmp_path / "repository", "lesions", "2-bbbbbbbb")
    report = GateReport.read(file)
    assert (report.current, report.candidate) == ("1-aaaaaaaa", "2-bbbbbbbb")
    assert report.candidate_sha256 == service.sha256("2-bbbbbbbb")
    service.loaded = []
    status, _, errors = gate("lesions", labels, "--service", service.url)
    assert (status, "has none that the credentials cover" in errors) == (2, True)
    status, _, errors = gate("lesions", labels, "--service", service.url, "--current", "x.json")
    assert (status, "--service: leave it out" in errors) == (2, True)


def test_a_detector_is_asked_for_scores_from_the_lowest_on(gate, service, tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "a.jpg").write_text(json.dumps([["circle", 0.1, 0, 0, 40, 40]]))
    document = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 100, "height": 100, "site": "north"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 40, 40]}],
        "categories": [{"id": 1, "name": "circle"}],
    }
    (folder / "labels.json").write_text(json.dumps(document))
    file = tmp_path / "answers.json"
    status, _, errors = gate("objects", folder / "labels.json", "--current", service.url,
                             "--by", "site", "--record", file)  # fmt: skip
    assert (status, errors) == (0, "")
    (photo,) = CanaryAnswers.read(file).photos
    assert photo.groups == {"site": "north"}
    assert [(each.label, each.score) for each in photo.found] == [("circle", 0.1)]
    status, _, errors = gate("objects", folder / "labels.json", "--current", service.url,
                             "--by", "camera", "--record", file)  # fmt: skip
    assert status == 2
    assert "has no camera" in errors


@pytest.mark.parametrize(
    ("candidate", "status", "result"),
    [
        (Candidate(), 0, "pass"),
        (Candidate(lost=0.06), 1, "fail"),
        (Candidate(positives=12), 3, "not enough evidence"),
    ],
)
def test_recorded_answers_are_judged_without_a_service(gate, tmp_path, candidate, status, result):
    files = [tmp_path / "current.json", tmp_path / "candidate.json"]
    for file, answers in zip(files, simulate(3, candidate), strict=True):
        answers.write(file)
    out = tmp_path / "report.json"
    ended, output, _ = gate("lesions", "--current", files[0], "--candidate", files[1], "--json",
                            "--out", out)  # fmt: skip
    assert (ended, json.loads(output)["result"]) == (status, result)
    assert out.with_suffix(".html").is_file()


def test_what_cannot_be_judged_is_said_in_a_line(gate, service, tmp_path):
    labels = labelled(tmp_path / "set", FEW)
    for arguments, words in (
        (["--current", service.url], "name both --current and --candidate"),
        (["--current", service.url, "--candidate", tmp_path / "absent.json"], "absent.json"),
        (["--current", service.url, "--candidate", service.url, "--by", "camera"], "no column"),
        (["--current", service.url, "--candidate", service.url], "both answers are of release"),
    ):
        status, _, errors = gate("lesions", labels, *arguments)
        assert (status, errors.count("\n")) == (2, 1)
        assert words in errors
    status, _, errors = gate("lesions", "--current", service.url, "--candidate", service.url)
    assert "name LABELS" in errors
    service.releases += ["1-aaaaaaaa", "2-bbbbbbbb", "2-bbbbbbbb"]
    status, _, errors = gate("lesions", labels, "--current", service.url, "--record",
                             tmp_path / "mixed.json")  # fmt: skip
    assert "several releases answered" in errors
    shutil.rmtree(tmp_path / "set")


def test_kept_images_with_feedback_are_a_canary_set(gate, service, tmp_path):
    status, _, errors = gate("lesions", "--from-kept", service.url, "--current", service.url,
                             "--record", tmp_path / "answers.json")  # fmt: skip
    assert status == 2
    assert "no kept image has feedback" in errors


@pytest.fixture
def canary(capsys, specs, tmp_path):
    """Runs the command with margins that thirty photos can show."""
    yaml = specs / "lesions.yaml"
    margins = {"sensitivity_drop_at_most": 0.3, "specificity_drop_at_most": 0.3}
    text = f"{yaml.read_text()}\ngate: {json.dumps(margins)}\n"
    yaml.write_text(text)

    def of(*arguments):
        where = ["--repository", tmp_path / "repository", "--specs", specs]
        return run(capsys, "canary", "lesions", *arguments, *where)

    return of


@pytest.fixture
def recorded(gate, service, tmp_path):
    """A canary set of thirty photos, of which one is answered wrongly, and the answers to it."""
    right = [([0.1, 0.9], "cancer"), ([0.9, 0.1], "healthy")] * 15
    labels = labelled(tmp_path / "set", [([0.7, 0.3], "cancer"), *right[1:]])
    file = tmp_path / "expected.json"
    assert gate("lesions", labels, "--current", service.url, "--record", file)[0] == 0
    return labels, file


def series(text):
    """The metrics in Prometheus's text format, by name and labels."""
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_service_that_answers_as_ever_passes_its_canary_run(canary, service, recorded, tmp_path):
    labels, expected = recorded
    metrics, out = tmp_path / "canary.prom", tmp_path / "report.json"
    status, output, errors = canary(
        labels, "--expected", expected, "--service", service.url, "--metrics", metrics,
        "--out", out,
    )  # fmt: skip
    assert (status, output.splitlines()[-1].startswith("pass"), errors) == (0, True, "")
    found = series(metrics.read_text())
    of = ("1-aaaaaaaa", "lesions")
    assert found["prediction_canary", "1-aaaaaaaa", "lesions", "pass"] == 1
    assert found["prediction_canary", "1-aaaaaaaa", "fail", "lesions"] == 0
    assert found["prediction_canary_photos", *of] == 30
    assert found["prediction_canary_figure", *of, "sensitivity"] == pytest.approx(14 / 15)
    assert found["prediction_canary_difference", *of, "sensitivity"] == 0
    # Times of two days are not compared.
    assert {each.name for each in GateReport.read(out).checks}.isdisjoint(
        {"latency, median ms", "compute time, mean ms"}
    )


def test_a_service_that_answers_worse_fails_its_canary_run(canary, service, recorded, tmp_path):
    labels, expected = recorded
    for number in range(0, 30, 2):
        (labels.parent / f"{number}.jpg").write_text("[0.8, 0.2]" + " " * number)
    # The photos are the same ones: what they are asked for by is their recorded digest.
    document = json.loads(expected.read_text())
    for number, photo in enumerate(document["photos"]):
        content = (labels.parent / f"{number}.jpg").read_bytes()
        photo["sha256"] = hashlib.sha256(content).hexdigest()
    expected.write_text(json.dumps(document))
    metrics = tmp_path / "canary.prom"
    status, output, _ = canary(
        labels, "--expected", expected, "--service", service.url, "--metrics", metrics, "--json"
    )
    assert (status, json.loads(output)["result"]) == (1, "fail")
    found = series(metrics.read_text())
    assert found["prediction_canary", "1-aaaaaaaa", "fail", "lesions"] == 1
    assert found["prediction_canary_difference", "1-aaaaaaaa", "lesions", "sensitivity"] < -0.9


def test_a_canary_run_that_cannot_judge_leaves_the_figures_as_they_were(
    canary, service, recorded, tmp_path
):
    labels, expected = recorded
    metrics = tmp_path / "canary.prom"
    metrics.write_text("# before\n")
    elsewhere = tmp_path / "elsewhere.json"
    elsewhere.write_text(expected.read_text().replace('"lesions"', '"objects"'))
    for arguments, words in (
        (["--expected", expected, "--service", "http://127.0.0.1:9"], "127.0.0.1:9"),
        (["--expected", tmp_path / "absent.json", "--service", service.url], "absent.json"),
        (["--expected", elsewhere, "--service", service.url], "holds answers of objects"),
    ):
        status, _, errors = canary(labels, *arguments, "--metrics", metrics)
        assert (status, errors.count("\n"), words in errors) == (2, 1, True)
        assert metrics.read_text() == "# before\n"
    (labels.parent / "29.jpg").unlink()
    assert canary(labels, "--expected", expected, "--service", service.url)[0] == 2


@contextmanager
def pushgateway(status):
    """Takes figures as a Pushgateway does: one PUT, of which it reads path and text."""
    taken = []

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            taken.append((self.path, self.headers["Authorization"], series(body)))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", taken
        finally:
            server.shutdown()
            thread.join()


def test_figures_go_to_a_pushgateway(canary, service, recorded):
    labels, expected = recorded
    asked = [labels, "--expected", expected, "--service", service.url, "--metrics"]
    with pushgateway(200) as (url, taken):
        assert canary(*asked, url)[0] == 0
        ((path, login, found),) = taken
    assert login is None
    assert path == "/metrics/job/second-opinion-canary/pipeline/lesions"
    assert found["prediction_canary", "1-aaaaaaaa", "lesions", "pass"] == 1
    with pushgateway(400) as (url, taken):
        status, _, errors = canary(*asked, url.replace("//", "//user:secret@"))
        assert taken[0][1] == "Basic dXNlcjpzZWNyZXQ="
    assert (status, "refuses the figures: 400" in errors) == (2, True)
    assert "secret" not in errors
    status, _, errors = canary(*asked, url)
    assert (status, "the Pushgateway at 127.0.0.1 cannot be reached" in errors) == (2, True)
