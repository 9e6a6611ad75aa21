"""What a tracking server is told, and that it changes nothing where it is not told.

MLflow's client is a program here that notes what it was given; with a real server: `make
mlflow-check`.
"""

import json
import math
import sys

import pytest

from evaluation.command_line import main
from export import console
from export.__main__ import app as export_app
from export.repository import ModelRepository
from export.tracked import tracked_run as of_export
from export.versions import Exported
from lab.releases.canaries import Candidate, simulate
from pipelines.load import FOLDER, load_definition
from pipelines.manifest import Manifest
from pipelines.release import release_path
from tests import tracked
from tests.releases_command import run
from tests.unit.evaluation.service import running
from tests.unit.server.releases import artefacts
from tracking import server as tracking
from tracking.server import TrackedRun, TrackingError, TrackingServer, figures

URL = "http://127.0.0.1:5000"
RUN = TrackedRun(pipeline="p", name="n", parameters={}, metrics={}, tags={})
CLIENT = """#!{python}
import json, os, sys
flag, program, url = sys.argv[1:]
assert (flag, program.endswith("tracking/mlflow_client.py")) == ("-I", True)
said = json.load(sys.stdin)
assert set(said) == {{"experiment", "name", "parameters", "metrics", "tags", "files", "texts"}}
for kind in ("parameters", "tags", "files", "texts"):
    assert all(type(each) is str for each in (*said[kind], *said[kind].values())), kind
assert all(type(each) is float for each in said["metrics"].values())
for path in said["files"].values():
    open(path, "rb").close()
with open({notes!r}, "a") as file:
    file.write(json.dumps([url, dict(os.environ), said]) + "\\n")
{end}
"""


@pytest.fixture
def client(tmp_path, monkeypatch):
    """Puts a program in the place of MLflow's client; gives what it was told."""
    notes = tmp_path / "notes.jsonl"

    def put(end='print("run-1")'):
        program = tmp_path / "python"
        program.write_text(CLIENT.format(python=sys.executable, notes=str(notes), end=end))
        program.chmod(0o700)
        monkeypatch.setattr(tracking, "PYTHON", program)

    def told():
        return [json.loads(line) for line in notes.read_text().splitlines()]

    put()
    put.told = told
    return put


@pytest.fixture(scope="module")
def service():
    with running() as service:
        yield service


def tell(run=RUN):
    return TrackingServer.at(URL).tell(run)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "sqlite:///tracking.db",
        "http://",
        "127.0.0.1:5000",
        "file:///tmp",
        "http://[",
        "databricks",
    ],
)
def test_what_is_no_server_is_refused(client, url):
    with pytest.raises(TrackingError, match="give the URL of a tracking server"):
        TrackingServer.at(url)


def test_a_password_in_the_url_is_refused_and_not_repeated(client):
    with pytest.raises(TrackingError, match="MLFLOW_TRACKING_PASSWORD") as error:
        TrackingServer.at("https://user:hunter2@mlflow.example")
    assert "hunter2" not in str(error.value)


def test_without_mlflows_client_the_error_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr(tracking, "PYTHON", tmp_path / "absent")
    with pytest.raises(TrackingError, match="`make mlflow`"):
        TrackingServer.at(URL)


def test_the_clients_process_gets_no_secret_of_the_service(client, monkeypatch):
    monkeypatch.setenv("SECONDOPINION_API_KEY", "so_secret")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "theirs")
    assert tell() == "run-1"
    ((url, environment, said),) = client.told()
    assert (url, said["experiment"]) == (URL, "second-opinion-p")
    assert not [name for name in environment if name.startswith(("GATEWAY_", "SECONDOPINION_"))]
    expected = {"MLFLOW_TRACKING_TOKEN": "theirs", "MLFLOW_DISABLE_TELEMETRY": "true"}
    assert expected.items() <= environment.items()


def test_names_are_as_mlflow_takes_them_and_numbers_are_finite(client):
    metrics = {"mAP@0.5 of boxes": 1, "nan": math.nan, "inf": math.inf}
    tell(TrackedRun(pipeline="p", name="n", parameters={"a:b": "x" * 9000}, metrics=metrics,
                    tags={}))  # fmt: skip
    ((_, _, said),) = client.told()
    assert said["metrics"] == {"mAP_0.5 of boxes": 1.0}
    assert said["parameters"] == {"a_b": "x" * 5000}


def test_a_client_that_fails_is_an_error_with_its_last_line(client):
    client('sys.exit("first\\nthe tracking server was not told: 500")')
    with pytest.raises(TrackingError, match=r"^the tracking server was not told: 500$"):
        tell()
    client("os._exit(7)")
    with pytest.raises(TrackingError, match="client ended: 7"):
        tell()


def test_an_environment_that_is_broken_is_an_error_with_the_remedy(client, tmp_path):
    (tmp_path / "python").write_text("")
    with pytest.raises(TrackingError, match=r"remove \.cache/mlflow"):
        tell()


def test_a_server_that_takes_for_ever_is_given_up(client, monkeypatch):
    monkeypatch.setattr(tracking, "_SECONDS", 0.2)
    client("import time; time.sleep(60)")
    with pytest.raises(TrackingError, match="took over"):
        tell()


def test_figures_are_numbers_by_their_path():
    document = {"a": {"b": 1, "c": None, "d": "x", "e": [1]}, "f": True, "g": 0.5}
    assert figures("", document) == {"a.b": 1.0, "g": 0.5}


def evaluate(*words):
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return ended.value.code


@pytest.fixture
def canaries(tmp_path, monkeypatch):
    for name in ("SECONDOPINION_URL", "SECONDOPINION_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    return tracked.labelled(tmp_path / "set")


def assert_nothing_of_photos(said, folder):
    text = json.dumps(said)
    # A plot's own path is told to the client, and its name there is another one.
    for word in (*tracked.SECRETS, *tracked.digests(folder)):
        assert word not in text


def test_an_evaluation_tells_its_figures_and_nothing_of_a_photo(
    client, service, canaries, tmp_path, capsys
):
    words = ["lesions", canaries, "--url", service.url, "--out", tmp_path / "out"]
    assert evaluate(*words, "--mlflow", URL) == 0
    assert "tracked as run run-1" in capsys.readouterr().err
    ((_, _, said),) = client.told()
    assert said["metrics"]["scores.accuracy.value"] == pytest.approx(0.9)
    assert said["tags"]["second_opinion.kind"] == "evaluation"
    assert set(said["files"]) == {"plot.png"}
    assert json.loads(said["texts"]["report.json"])["answers"] == []
    assert_nothing_of_photos(said, canaries.parent)


def test_an_evaluation_that_is_not_tracked_ends_as_ever(
    client, service, canaries, tmp_path, capsys
):
    client('sys.exit("the tracking server was not told: gone")')
    words = ["lesions", canaries, "--url", service.url, "--out", tmp_path / "out"]
    assert evaluate(*words, "--mlflow", URL) == 0
    assert (tmp_path / "out" / "report.json").is_file()
    assert "not told: gone. The figures are as above" in capsys.readouterr().err


def test_what_cannot_be_tracked_is_said_before_anything_is_asked(
    client, service, canaries, tmp_path, capsys
):
    service.seen.clear()
    words = ["lesions", canaries, "--url", service.url, "--out", tmp_path / "out"]
    assert evaluate(*words, "--mlflow", "sqlite:///x") == 2
    assert evaluate("lesions", "--from-feedback", "--mlflow", URL) == 2
    assert (service.seen, (tmp_path / "out").exists()) == ([], False)


@pytest.fixture
def recorded(tmp_path):
    files = [tmp_path / "current.json", tmp_path / "candidate.json"]
    for file, answers in zip(files, simulate(3, Candidate(lost=0.06)), strict=True):
        answers.write(file)
    return files, [photo.sha256 for photo in answers.photos]


@pytest.mark.parametrize("end", ['print("run-1")', 'sys.exit("not told")'], ids=["told", "not"])
def test_a_gate_ends_by_its_verdict_whether_it_is_tracked_or_not(
    client, recorded, tmp_path, capsys, end
):
    client(end)
    files, photos = recorded
    specs = tmp_path / "specs"
    specs.mkdir()
    text = (FOLDER / "oral_cancer.yaml").read_text()
    (specs / "lesions.yaml").write_text(text.replace("name: oral_cancer", "name: lesions", 1))
    status, output, errors = run(
        capsys, "gate", "lesions", "--current", files[0], "--candidate", files[1], "--json",
        "--repository", tmp_path / "repository", "--specs", specs, "--mlflow", URL,
    )  # fmt: skip
    assert (status, json.loads(output)["result"]) == (1, "fail")
    assert ("tracked as run run-1" if "print" in end else "not told") in errors
    ((_, _, said),) = client.told()
    assert said["tags"]["second_opinion.result"] == "fail"
    assert said["metrics"]["sensitivity.difference"] < 0
    assert set(said["texts"]) == {"report.json", "report.html"}
    assert not [digest for digest in photos if digest in json.dumps(said)]


@pytest.fixture
def exported(tmp_path):
    """An export's versions and the release of them, without torch."""
    whole = load_definition("oral_cancer")
    spec = whole.resolve("default")
    folders = [
        artefacts.write_version(tmp_path / "repository", spec, each) for each in spec.members
    ]
    for model in spec.models:
        artefacts.write_config(tmp_path / "repository", spec, model)
    release = artefacts.write_release(tmp_path / "repository", spec)
    made = [
        Exported(member, folder, Manifest.read(folder))
        for member, folder in zip(spec.members, folders, strict=True)
    ]
    return whole, made, release, tmp_path / "repository"


def test_an_export_tells_its_release_its_figures_and_onnx_artefacts(client, exported):
    whole, made, release, repository = exported
    tell(of_export(whole, "default", made, [release], repository))
    ((_, _, said),) = client.told()
    onnx = {
        f"members/{each.member}/model.onnx": str(each.folder / "model.onnx")
        for each in made
        if each.manifest.artefact == "model.onnx"
    }
    assert onnx
    assert said["files"] == onnx | {
        f"releases/{release.identity}.json": str(
            release_path("oral_cancer", release.identity, repository)
        )
    }
    assert said["parameters"]["releases"] == release.identity
    assert said["parameters"]["vgg16.artefact_sha256"] == release.artefact_sha256("vgg16")
    assert said["metrics"]["vgg16.parity_error"] == 0


def test_an_export_stands_where_the_server_is_not_told(client, exported, capsys):
    client('sys.exit("the tracking server was not told: gone")')
    whole, made, release, repository = exported
    console.track(TrackingServer.at(URL), of_export(whole, "default", made, [release], repository))
    assert "not told: gone. The export is done all the same" in " ".join(
        capsys.readouterr().err.split()
    )
    assert ModelRepository(repository).versions("oral_cancer_vgg16") == [1]


@pytest.mark.parametrize(
    "words",
    [
        ["oral_cancer", "--configs", "--mlflow", URL],
        ["oral_cancer", "--checkpoint", "vgg16=absent.pt", "--mlflow", "nowhere"],
    ],
)
def test_an_export_that_cannot_be_tracked_is_not_begun(client, tmp_path, capsys, words):
    with pytest.raises(SystemExit) as ended:
        export_app([*words, "--repository", str(tmp_path / "repository")])
    assert (ended.value.code, "--mlflow:" in capsys.readouterr().err) == (2, True)
    assert not (tmp_path / "repository").exists()
