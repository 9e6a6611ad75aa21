"""The life of a release under load: staged, compared, split, promoted, rolled back, retired.

A real launcher, tritonserver and gateway, asked over HTTP and gRPC without a pause meanwhile.
"""

import json
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import cycle
from pathlib import Path

import httpx
import psutil
import pytest
import tritonclient.grpc as triton
import yaml
from typer.testing import CliRunner

from export import releases as exported
from export.repository import ModelRepository
from export.versions import export
from pipelines import protocol
from pipelines.load import FOLDER, load_definition
from pipelines.manifest import FILENAME as MANIFEST
from pipelines.release import Release
from pipelines.release_state import ReleaseState
from pipelines.signatures import FOLDER as SIGNATURES
from releases.__main__ import app
from releases.signatures.signing import KeyFolder, SignedRepository
from tests.integration.service import Service, running
from tests.unit.gateway.asking import images

NAME = "oral_cancer"
SUBJECTS = [f"subject-{number}" for number in range(24)]


class World:
    """A service of signed releases that differ in their threshold, of which the first serves.

    The third has files of its own, and is not signed.
    """

    def __init__(self, folder: Path, checkpoint: Path, photo: bytes) -> None:
        self.folder, self.photo = folder, photo
        self.specs, self.repository = folder / "specs", folder / "model_repository"
        self.specs.mkdir()
        facts = yaml.safe_load((FOLDER / f"{NAME}.yaml").read_text("utf-8"))
        facts["members"] = {"regnet": facts["members"]["regnet"]}
        facts["profiles"] = {}
        facts["typicality"] = None
        self.facts = facts
        self.ids: list[str] = []
        for number, threshold in enumerate((0.5, 0.4, 0.45)):
            facts["threshold"]["default"] = threshold
            self._write_spec()
            whole = load_definition(NAME, self.specs)
            repository = ModelRepository(self.repository)
            repository.write_configs(whole, f"{NAME}.yaml")
            published = {"regnet": 1} if number == 0 else {}
            if number == 0:
                export(whole, {"regnet": checkpoint}, repository)
            if number == 2:
                # Files of its own, which a test may damage.
                versions = self.repository / f"{NAME}_regnet"
                shutil.copytree(versions / "1", versions / "2")
                manifest = versions / "2" / MANIFEST
                moved = json.loads(manifest.read_text()) | {"version": 2}
                manifest.write_text(json.dumps(moved))
                published = {"regnet": 2}
            (release,) = exported.make(whole, repository, published).made
            self.ids.append(release.identity)
        # What is served first was made first; the YAML says what the second says.
        pointer = self.repository / NAME / "releases" / "default.current"
        pointer.write_text(f"{self.ids[0]}\n")
        facts["threshold"]["default"] = 0.5
        self._write_spec()
        whole = load_definition(NAME, self.specs)
        ModelRepository(self.repository).write_configs(whole, f"{NAME}.yaml")
        self.keys = KeyFolder(folder / "keys")
        shutil.copy(self.signer().initialise(), folder / "root.json")
        for identity in self.ids[:2]:
            self.signer().sign(self.release(identity))

    def signer(self, keys: KeyFolder | None = None, **how: Callable) -> SignedRepository:
        return SignedRepository(self.repository, keys or self.keys, **how)

    def release(self, identity: str) -> Release:
        return Release.read(NAME, identity, self.repository)

    def _write_spec(self) -> None:
        text = yaml.safe_dump(self.facts, sort_keys=False)
        (self.specs / f"{NAME}.yaml").write_text(text, "utf-8")

    def command(self, service: Service, *words: str) -> dict:
        environment = {
            "GATEWAY_DATABASE_URL": f"sqlite:///{self.folder}/gateway.db",
            "SERVER_METRICS_PORT": str(service.server_metrics),
        }
        places = [] if words[0] == "history" else ["--repository", str(self.repository)]
        done = CliRunner().invoke(
            app,
            [words[0], NAME, *words[1:], *places, "--json"],
            env=environment,
        )
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)


class Load:
    """Two threads that ask without a pause, one over each door, each subject in its turn."""

    def __init__(self, service: Service, photo: bytes) -> None:
        self._service, self._photo = service, photo
        self._over = threading.Event()
        self.answers: list[tuple[str, str, str]] = []
        """Door, subject and release of each answer."""
        self.failures: list[str] = []
        self._threads = [threading.Thread(target=ask) for ask in (self._http, self._grpc)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _http(self) -> None:
        url = f"{self._service.url}/api/v1/predict"
        with httpx.Client(timeout=60) as client:
            for subject in cycle(SUBJECTS):
                if self._over.is_set():
                    return
                headers = {"X-Subject-ID": subject, "Content-Type": "image/jpeg"}
                answer = client.post(url, content=self._photo, headers=headers)
                if answer.status_code == 200:
                    self.answers.append(("http", subject, answer.json()["release"]))
                else:
                    self.failures.append(answer.text)

    def _grpc(self) -> None:
        with triton.InferenceServerClient(self._service.gateway_address) as client:
            for subject in cycle(SUBJECTS):
                if self._over.is_set():
                    return
                try:
                    answer = client.infer(
                        NAME, images(self._photo), headers={"x-subject-id": subject}
                    )
                except triton.InferenceServerException as error:
                    self.failures.append(error.message())
                    continue
                release = answer.as_numpy("release").reshape(-1)[0].decode()
                self.answers.append(("grpc", subject, release))

    def round(self) -> dict[str, set[str]]:
        """The releases that answered each subject, over both doors, from now on for one round."""
        began = len(self.answers)
        wanted = {(door, subject) for door in ("http", "grpc") for subject in SUBJECTS}
        while not wanted <= {(door, subject) for door, subject, _ in self.answers[began:]}:
            assert not self.failures, self.failures[0]
            time.sleep(0.02)
        found: dict[str, set[str]] = {}
        for _, subject, release in self.answers[began:]:
            found.setdefault(subject, set()).add(release)
        return found

    def settled(self, condition) -> dict[str, str]:
        """The release of each subject, once a round has one for each and the condition holds."""
        for _ in range(100):
            found = self.round()
            if all(len(each) == 1 for each in found.values()):
                one = {subject: next(iter(each)) for subject, each in found.items()}
                if condition(one):
                    return one
        raise AssertionError(found)


@pytest.fixture(scope="module")
def world(oral_cancer, tmp_path_factory) -> World:
    folder = tmp_path_factory.mktemp("releases")
    return World(folder, oral_cancer.checkpoints["regnet"], oral_cancer.files[0])


@pytest.fixture(scope="module")
def service(world) -> Iterator[Service]:
    settings = {
        "GATEWAY_DATABASE_URL": f"sqlite:///{world.folder}/gateway.db",
        # The load never pauses.
        "GATEWAY_SHADOW_BELOW": "8",
        "GATEWAY_SHADOW_TIME_SHARE": "1",
        "SERVER_SIGNATURES_ROOT": str(world.folder / "root.json"),
        "SERVER_SIGNATURES_STATE": str(world.folder / "seen"),
    }
    places = ("--specs", str(world.specs))
    with running(world.repository, world.folder, *places, **settings) as service:
        yield service


def backend_processes(service: Service) -> Counter[str]:
    """How many run of each model."""
    found: Counter[str] = Counter()
    for process in psutil.Process(service.process.pid).children(recursive=True):
        words = process.cmdline()
        if words and words[0].endswith("triton_python_backend_stub"):
            found[Path(words[1]).parent.parent.name] += 1
    return found


def test_no_request_fails_from_stage_to_retire_and_back(world, service, record_property):
    old, new, _ = world.ids
    before = backend_processes(service)
    with Load(service, world.photo) as load:
        assert load.settled(lambda _: True) == dict.fromkeys(SUBJECTS, old)
        assert world.command(service, "stage", new)["candidate"] == new
        staged = backend_processes(service)
        assert {model for model in staged if model.endswith(f"--{new}")}
        assert load.settled(lambda _: True) == dict.fromkeys(SUBJECTS, old)

        world.command(service, "shadow", "100")
        give_up = time.monotonic() + 120
        compared: dict = {"compared": 0}
        while compared["compared"] < 5:
            assert time.monotonic() < give_up, compared
            time.sleep(0.5)
            (compared,) = world.command(service, "shadow", "--report") or [compared]
        # Both have the same weights, and differ in their threshold alone.
        assert (compared["given"], compared["candidate"], compared["failed"]) == (old, new, 0)
        for figure in ("value", "uncertainty"):
            assert compared[figure] == [{"at_most": 0.005, "count": compared["compared"]}]
        assert compared["compute_ms"]["candidate"] > 0
        assert load.settled(lambda _: True) == dict.fromkeys(SUBJECTS, old)

        world.command(service, "split", "50")
        few = load.settled(lambda one: new in one.values())
        assert old in few.values()
        world.command(service, "split", "90")
        many = load.settled(lambda one: Counter(one.values())[new] > Counter(few.values())[new])
        assert [s for s in SUBJECTS if few[s] == new and many[s] == old] == []

        world.command(service, "promote", "--without-gate", "a test")
        load.settled(lambda one: set(one.values()) == {new})
        began = time.monotonic()
        world.command(service, "rollback")
        load.settled(lambda one: set(one.values()) == {old})
        record_property("rollback_seconds", time.monotonic() - began)

        world.command(service, "retire", new)
        give_up = time.monotonic() + 60
        while backend_processes(service) != before:
            assert time.monotonic() < give_up, backend_processes(service) - before
            time.sleep(0.1)
        assert load.settled(lambda _: True) == dict.fromkeys(SUBJECTS, old)
    assert load.failures == []
    history = world.command(service, "history")
    actions = ["begin", "stage", "shadow", "split", "split", "promote", "rollback", "retire"]
    assert [row["action"] for row in reversed(history)] == actions
    assert history[2]["evidence"] == "without gate: a test"


class Attacker:
    """Writes into the model repository what it likes, its state too, and looks what is loaded."""

    def __init__(self, world: World, service: Service) -> None:
        self.world, self.service, self.revision = world, service, 1000
        self.current, _, self.candidate = world.ids
        self.version = world.repository / protocol.member_model(NAME, "regnet") / "2"
        self.metadata = world.repository / SIGNATURES / "metadata"

    def tries(self) -> dict[str, list[str] | dict[str, str]]:
        """Has the candidate loaded anew; gives what the launcher says once it has decided."""
        self._write_state(None)
        self.said(lambda page: not self.candidate_in(page))
        self._write_state(self.candidate)
        return self.said(self.candidate_in)

    def _write_state(self, candidate: str | None) -> None:
        self.revision += 1
        state = ReleaseState(
            pipeline=NAME,
            profile="default",
            revision=self.revision,
            current=self.current,
            candidate=candidate,
        )
        state.write(self.world.repository)

    def candidate_in(self, page: dict) -> bool:
        return self.candidate in {*page["loaded"], *page["refused"]}

    def said(self, condition: Callable) -> dict:
        give_up = time.monotonic() + 60
        url = f"http://127.0.0.1:{self.service.server_metrics}/releases"
        while not condition(page := httpx.get(url, timeout=10).json()[NAME]):
            assert time.monotonic() < give_up, page
            time.sleep(0.1)
        return page

    def refused(self) -> str:
        """The reason why the candidate is not loaded, while the current release answers."""
        page = self.tries()
        assert page["loaded"] == [self.current]
        content, headers = self.world.photo, {"Content-Type": "image/jpeg"}
        answer = httpx.post(
            f"{self.service.url}/api/v1/predict", content=content, headers=headers, timeout=60
        )
        assert answer.json()["release"] == self.current
        return page["refused"][self.candidate]


def test_every_attack_on_signatures_is_refused_by_name_while_the_current_release_serves(
    world, service, tmp_path
):
    attacker = Attacker(world, service)
    (model,) = attacker.version.glob("model.*")
    assert "is not signed, or was withdrawn" in attacker.refused()
    world.signer().sign(world.release(attacker.candidate), keep=3)

    whole = model.read_bytes()
    model.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
    assert f"{model}: corrupt or replaced" in attacker.refused()
    model.unlink()
    assert f"{model}: missing" in attacker.refused()
    model.write_bytes(whole)
    (attacker.version / "more.py").write_text("print()")
    assert "more.py: release" in attacker.refused()
    (attacker.version / "more.py").unlink()

    # Signed and whole it is loaded; once it is withdrawn it is unloaded.
    assert attacker.candidate in attacker.tries()["loaded"]
    shutil.copytree(attacker.metadata, tmp_path / "older")
    world.signer().withdraw(NAME, attacker.candidate)
    page = attacker.said(lambda page: attacker.candidate in page["refused"])
    assert page["loaded"] == [attacker.current]
    assert "was withdrawn" in page["refused"][attacker.candidate]
    newer = shutil.copytree(attacker.metadata, tmp_path / "newer")
    shutil.copytree(tmp_path / "older", attacker.metadata, dirs_exist_ok=True)
    assert "older signatures than those that were seen" in attacker.refused()
    shutil.copytree(newer, attacker.metadata, dirs_exist_ok=True)

    # A signer whose key was revoked signs with it, by the root that trusted it.
    stolen = shutil.copytree(world.keys.folder, tmp_path / "stolen")
    world.signer().rotate("targets")
    trusted = (attacker.metadata / "root.json").read_bytes()
    shutil.copy(attacker.metadata / "1.root.json", attacker.metadata / "root.json")
    world.signer(KeyFolder(stolen)).sign(world.release(attacker.candidate), keep=3)
    (attacker.metadata / "root.json").write_bytes(trusted)
    assert "a key that is not trusted, or was revoked" in attacker.refused()

    long_ago = datetime.now(UTC) - timedelta(days=200)
    world.signer(now=lambda: long_ago).sign(world.release(attacker.candidate), keep=3)
    assert "the signatures have expired" in attacker.refused()

    # What served goes on, also after a restart.
    service.stop()
    service.start()
    service.wait_ready()
    page = attacker.said(lambda page: attacker.candidate in page["refused"])
    assert page["loaded"] == [attacker.current]
    assert "the signatures have expired" in page["refused"][attacker.candidate]
    world.signer().renew()
    assert attacker.candidate in attacker.tries()["loaded"]
