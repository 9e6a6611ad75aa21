"""`--mlflow` with MLflow's own server on SQLite: `make mlflow-check`, which gets what it needs."""

import hashlib
import json
import os
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from evaluation.command_line import main
from export.tracked import tracked_run as of_export
from export.versions import Exported
from lab.releases.canaries import Candidate, simulate
from lab.service.ports import free_ports
from pipelines.load import FOLDER, load_definition
from pipelines.manifest import Manifest
from pipelines.release import release_path
from tests import tracked
from tests.releases_command import run
from tests.unit.evaluation.service import running
from tests.unit.server.releases import artefacts
from tracking.server import ROOT, TrackedRun, TrackingError, TrackingServer

SERVER = ROOT / ".cache" / "mlflow-server" / "bin" / "mlflow"
_START_SECONDS = 600


class Server:
    """MLflow's server, and what is asked of it by its REST API."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        self._log = (folder / "log").open("w")
        environment = {
            **os.environ,
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "DO_NOT_TRACK": "true",
            # A dozen processes that nothing here needs.
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        }
        self._process = subprocess.Popen(
            [
                SERVER, "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
                "--backend-store-uri", f"sqlite:///{folder / 'tracking.db'}",
                "--artifacts-destination", folder / "artifacts",
            ],
            env=environment, cwd=folder, stdout=self._log, stderr=self._log,
            start_new_session=True,
        )  # fmt: skip
        try:
            self._wait()
        except BaseException:
            self.close()
            raise

    def _wait(self) -> None:
        until = time.monotonic() + _START_SECONDS
        while not self._healthy():
            said = (self.folder / "log").read_text()
            assert self._process.poll() is None, said
            assert time.monotonic() < until, said
            time.sleep(0.5)

    def close(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        self._process.wait(30)
        self._log.close()

    def _healthy(self) -> bool:
        try:
            return self._get("/health") == b"OK"
        except httpx.HTTPError:
            return False

    def _get(self, path: str) -> bytes:
        return httpx.get(f"{self.url}{path}", timeout=30).raise_for_status().content

    def run(self, identity: str) -> dict:
        found = json.loads(self._get(f"/api/2.0/mlflow/runs/get?run_id={identity}"))["run"]
        data = found["data"]
        return {
            "name": found["info"]["run_name"],
            "status": found["info"]["status"],
            **{
                kind: {each["key"]: each["value"] for each in data.get(kind, ())}
                for kind in ("params", "metrics", "tags")
            },
        }

    def artifact(self, identity: str, path: str) -> bytes:
        return self._get(f"/get-artifact?path={path}&run_uuid={identity}")

    def everything(self) -> bytes:
        """All that lies on its disk."""
        return b"".join(path.read_bytes() for path in self.folder.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    started = Server(tmp_path_factory.mktemp("mlflow"))
    yield started
    started.close()


@pytest.fixture(scope="module")
def service():
    with running() as service:
        yield service


def run_id(text):
    (line,) = [line for line in text.splitlines() if "tracked as run" in line]
    return line.split()[-1]


def test_an_evaluation_arrives_with_its_figures_and_nothing_of_a_photo(
    server, service, tmp_path, monkeypatch, capsys
):
    monkeypatch.delenv("SECONDOPINION_API_KEY", raising=False)
    labels = tracked.labelled(tmp_path / "set")
    with pytest.raises(SystemExit) as ended:
        main(["lesions", str(labels), "--url", service.url, "--out", str(tmp_path / "out"),
              "--mlflow", server.url])  # fmt: skip
    assert ended.value.code == 0
    identity = run_id(capsys.readouterr().err)
    found = server.run(identity)
    assert (found["name"], found["status"]) == ("evaluation of 1-3fa9c2d1", "FINISHED")
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert found["metrics"]["scores.accuracy.value"] == report["scores"]["accuracy"]["value"]
    assert found["params"]["classes"] == "healthy, cancer"
    assert server.artifact(identity, "plot.png") == (tmp_path / "out" / "plot.png").read_bytes()
    # Neither its database nor its folders have a name or a digest of a photo.
    told = server.everything()
    for word in (*tracked.SECRETS, *tracked.digests(labels.parent)):
        assert word.encode() not in told
    assert not [name for name in found["tags"] if name in {"mlflow.user", "mlflow.source.name"}]


def test_a_gate_arrives_with_its_report(server, tmp_path, capsys):
    files = [tmp_path / "current.json", tmp_path / "candidate.json"]
    for file, answers in zip(files, simulate(3, Candidate(lost=0.06)), strict=True):
        answers.write(file)
    specs = tmp_path / "specs"
    specs.mkdir()
    text = (FOLDER / "oral_cancer.yaml").read_text()
    (specs / "lesions.yaml").write_text(text.replace("name: oral_cancer", "name: lesions", 1))
    status, output, errors = run(
        capsys, "gate", "lesions", "--current", files[0], "--candidate", files[1], "--json",
        "--repository", tmp_path / "repository", "--specs", specs, "--mlflow", server.url,
    )  # fmt: skip
    assert status == 1
    found = server.run(run_id(errors))
    assert found["tags"]["second_opinion.result"] == "fail"
    assert json.loads(server.artifact(run_id(errors), "report.json")) == json.loads(output)
    assert b"<svg" in server.artifact(run_id(errors), "report.html")


def test_an_exports_release_and_onnx_artefacts_arrive_whole(server, tmp_path):
    whole = load_definition("oral_cancer")
    spec = whole.resolve("default")
    folders = [artefacts.write_version(tmp_path, spec, member) for member in spec.members]
    for model in spec.models:
        artefacts.write_config(tmp_path, spec, model)
    release = artefacts.write_release(tmp_path, spec)
    made = [
        Exported(member, folder, Manifest.read(folder))
        for member, folder in zip(spec.members, folders, strict=True)
    ]
    identity = TrackingServer.at(server.url).tell(
        of_export(whole, "default", made, [release], tmp_path)
    )
    found = server.run(identity)
    assert found["params"]["releases"] == release.identity
    assert found["metrics"]["vgg16.parity_error"] == 0
    onnx = server.artifact(identity, "members/vgg16/model.onnx")
    assert hashlib.sha256(onnx).hexdigest() == release.artefact_sha256("vgg16")
    kept = server.artifact(identity, f"releases/{release.identity}.json")
    assert kept == release_path("oral_cancer", release.identity, tmp_path).read_bytes()


def test_many_parameters_and_metrics_arrive(server):
    many = {f"name.{number}": str(number) for number in range(350)}
    half = dict.fromkeys(many, 0.5)
    told = TrackedRun(pipeline="many", name="many", parameters=many, metrics=half, tags={})
    identity = TrackingServer.at(server.url).tell(told)
    found = server.run(identity)
    assert found["params"] == many
    assert found["metrics"] == half


def test_a_run_that_cannot_be_sent_whole_is_marked_as_failed(server, tmp_path):
    told = TrackedRun(pipeline="half", name="half", parameters={}, metrics={}, tags={},
                      files={"a.onnx": tmp_path / "absent"})  # fmt: skip
    with pytest.raises(TrackingError, match="the tracking server was not told"):
        TrackingServer.at(server.url).tell(told)
    query = {"experiment_ids": [_experiment(server, "second-opinion-half")]}
    found = httpx.post(f"{server.url}/api/2.0/mlflow/runs/search", json=query, timeout=30)
    (run,) = found.raise_for_status().json()["runs"]
    assert run["info"]["status"] == "FAILED"


def _experiment(server, name):
    document = server._get(f"/api/2.0/mlflow/experiments/get-by-name?experiment_name={name}")
    return json.loads(document)["experiment"]["experiment_id"]


def test_a_server_that_is_gone_is_said_in_a_line():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    with pytest.raises(TrackingError, match="the tracking server was not told") as error:
        TrackingServer.at(url).tell(
            TrackedRun(pipeline="p", name="n", parameters={}, metrics={}, tags={})
        )
    assert "\n" not in str(error.value)
