"""What is loaded and unloaded as the state changes, without Triton."""

from threading import Event
from types import SimpleNamespace

import pytest

from pipelines.release import ReleaseError
from pipelines.release_state import ReleaseState
from pipelines.signatures import TIMESTAMP
from server.errors import RefusedPipelineError
from server.launcher import staging
from server.launcher.staging import Staging

A, B = "1-aaaaaaaa", "2-bbbbbbbb"


def release(identity, *, staged=True):
    name = f"p--{identity}" if staged else "p"
    spec = SimpleNamespace(name="p", profile="default")
    return SimpleNamespace(identity=identity, spec=spec, name=name, staged=staged, release=identity)


class Service:
    def __init__(self):
        self.served = [release(A, staged=False)]
        self.releases = list(self.served)
        self.refuses = {}

    def stage(self, each):
        if problem := self.refuses.get(each.identity):
            return problem
        self.served.append(each)
        self.releases.append(each)
        return None

    def retire(self, each):
        self.served.remove(each)
        self.releases.remove(each)


class World:
    """A service, a state, and a clock."""

    def __init__(self, repository, monkeypatch):
        self.service, self.said, self.now = Service(), [], 1000.0
        self.state: ReleaseState | None = None
        self.broken: dict[str, str] = {}
        self.memory: str | None = None
        self.checks = Event()
        """Checks of files end while it is set."""
        self.checks.set()
        self.folders: list[str] = []
        self.disk_full = False
        folder = SimpleNamespace(add=self._add_folder, remove=lambda _: None)
        report = SimpleNamespace(say=self.said.append)
        self.repository, self.withdrawn = repository, set()
        files = SimpleNamespace(repository=repository, require_signed=self._require_signed)
        self.staging = Staging(self.service, folder, files, lambda *_: self.memory, report)
        monkeypatch.setattr(staging, "verify_kept", self._verify)
        monkeypatch.setattr(ReleaseState, "read", lambda *_: self._read())
        monkeypatch.setattr(staging.time, "monotonic", lambda: self.now)

    def _read(self):
        if isinstance(self.state, Exception):
            raise self.state
        return self.state

    def _verify(self, _name, identity, *_):
        assert self.checks.wait(timeout=60)
        if problem := self.broken.get(identity):
            raise RefusedPipelineError(problem)
        return release(identity)

    def _add_folder(self, each):
        if self.disk_full:
            raise OSError(28, "No space left on device", "/run/staged")
        self.folders.append(each.name)

    def _require_signed(self, identity):
        if identity in self.withdrawn:
            raise ReleaseError(f"{identity}: is not signed, or was withdrawn")

    def sign(self, *, withdrawn):
        """Changes the signatures."""
        self.withdrawn = withdrawn
        (self.repository / TIMESTAMP).parent.mkdir(parents=True, exist_ok=True)
        (self.repository / TIMESTAMP).write_text(str(withdrawn))
        self.broken = {each: f"{each}: is not signed, or was withdrawn" for each in withdrawn}

    def becomes(self, revision, current, **facts):
        self.state = ReleaseState(
            pipeline="p", profile="default", revision=revision, current=current, **facts
        )

    def follow(self, seconds=0.0):
        for passed in (0.0, seconds):
            self.now += passed
            for _ in range(3):
                self.staging.follow()
                if self.staging._checked:
                    self.staging._checked[2].exception(timeout=10)
        return [each.identity for each in self.service.served]


@pytest.fixture
def world(tmp_path, monkeypatch):
    world = World(tmp_path, monkeypatch)
    yield world
    world.staging.close()


def test_what_a_start_loads_under_a_name_of_its_own_gets_its_folders(world):
    world.staging.prepare([release(A, staged=False), release(B)])
    assert world.folders == [f"p--{B}"]
    world.disk_full = True
    world.staging.prepare([release(B)])
    assert world.said == [f"p--{B}: /run/staged: No space left on device"]


def test_without_a_state_nothing_is_loaded_or_unloaded(world):
    assert world.follow(60) == [A]


def test_a_candidate_is_loaded_and_unloaded_after_the_gateways_have_noticed(world):
    world.becomes(2, A, candidate=B)
    assert world.follow() == [A, B]
    assert world.staging.page() == {"p": {"loaded": [A, B], "refused": {}}}
    world.becomes(3, A)
    assert world.follow(4) == [A, B]
    assert world.follow(2) == [A]


def test_after_a_promotion_both_stay_until_the_former_is_retired(world):
    world.becomes(2, A, candidate=B)
    world.follow()
    world.becomes(3, B, former=A)
    assert world.follow(60) == [A, B]
    world.becomes(4, B)
    assert world.follow(60) == [B]


def test_what_serves_is_not_unloaded_before_the_current_one_is_loaded(world):
    world.broken[B] = "model.onnx: corrupt"
    world.becomes(2, B)
    assert world.follow(60) == [A]
    world.broken.clear()
    # It is loaded after a minute, and A unloaded once the gateways have noticed.
    assert world.follow(61) == [A, B]
    assert world.follow(6) == [B]


@pytest.mark.parametrize("how", ["memory", "files", "triton"])
def test_a_refused_release_is_said_once_with_its_reason(world, how):
    if how == "memory":
        world.memory = "it needs about 900 MiB"
    elif how == "files":
        world.broken[B] = "it needs about 900 MiB"
    else:
        world.service.refuses[B] = "it needs about 900 MiB"
    world.becomes(2, A, candidate=B)
    for _ in range(3):
        assert world.follow(61) == [A]
    assert world.staging.page()["p"]["refused"] == {B: "it needs about 900 MiB"}
    assert world.said == [f"NOT LOADED  p, release {B}: it needs about 900 MiB"]
    world.becomes(3, A)
    world.follow()
    assert world.staging.page() == {"p": {"loaded": [A], "refused": {}}}


def test_a_candidate_that_is_gone_before_it_was_checked_is_neither_loaded_nor_refused(world):
    for broken in ({}, {B: "model.onnx: corrupt"}):
        world.broken = broken
        world.becomes(2, A, candidate=B)
        world.checks.clear()
        world.staging.follow()
        world.becomes(3, A)
        world.checks.set()
        world.staging._checked[2].exception(timeout=10)
        world.staging.follow()
        assert world.staging.page() == {"p": {"loaded": [A], "refused": {}}}
    assert world.said == []


def test_a_refusal_goes_with_the_state_that_asked_and_stays_where_none_can_be_read(world):
    world.broken[B] = "model.onnx: corrupt"
    world.becomes(2, A, candidate=B)
    world.follow()
    world.state = ReleaseError("default.state: no JSON")
    world.follow()
    assert world.staging.page()["p"]["refused"] == {B: "model.onnx: corrupt"}
    world.state = None
    world.follow()
    assert world.staging.page() == {"p": {"loaded": [A], "refused": {}}}


@pytest.mark.parametrize("role", ["candidate", "former"])
def test_a_release_whose_signature_is_withdrawn_is_unloaded_unless_it_is_the_current_one(
    world, role
):
    world.sign(withdrawn=set())
    world.becomes(2, A, **{role: B})
    assert world.follow() == [A, B]
    world.sign(withdrawn={A, B})
    assert world.follow() == [A]
    reason = f"{B}: is not signed, or was withdrawn"
    assert world.staging.page() == {"p": {"loaded": [A], "refused": {B: reason}}}
    assert world.said[-1] == f"p--{B}: is unloaded: {reason}"
    assert world.follow(61) == [A]
    world.sign(withdrawn=set())
    assert world.follow(61) == [A, B]


def test_a_release_that_answers_alone_is_not_unloaded_for_its_signature(world):
    world.sign(withdrawn=set())
    world.becomes(2, B, former=A)
    world.broken[B] = "model.onnx: corrupt"
    world.follow()
    world.sign(withdrawn={A})
    assert world.follow() == [A]


def test_a_state_that_cannot_be_read_leaves_what_is_loaded(world):
    world.becomes(2, A, candidate=B)
    world.follow()
    world.state = ReleaseError("default.state: no JSON")
    for _ in range(2):
        assert world.follow(60) == [A, B]
    assert world.said[1:] == ["p: default.state: no JSON; what is loaded stays"]
