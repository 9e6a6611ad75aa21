"""Loads and unloads releases beside those of the start, as the states in the repository say."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from pipelines.release import ReleaseError
from pipelines.release_files import ReleaseFiles
from pipelines.release_state import ReleaseState
from pipelines.signatures import TIMESTAMP
from server.errors import RefusedPipelineError
from server.launcher.report import Report
from server.launcher.service import Service
from server.releases.staged_folder import StagedFolder
from server.releases.verification import verify_kept
from server.releases.verified import VerifiedRelease

_GRACE_SECONDS = 5.0
"""Gateways read the states each second: after this none sends a retired release new requests."""
_AGAIN_SECONDS = 60.0
"""After which a release that was refused is tried again."""
_Problem = Callable[[VerifiedRelease, VerifiedRelease | None], str | None]


@dataclass(frozen=True)
class _Refusal:
    revision: int
    """Of the state that asked for the release."""
    reason: str
    until: float


class Staging:
    """Loads what a state names and unloads what it names no more, one release at a time.

    The last release of a pipeline that serves is never unloaded. A candidate or a former release
    whose signature was withdrawn is unloaded at once; the current one serves until it is replaced.
    """

    def __init__(
        self,
        service: Service,
        folder: StagedFolder,
        files: ReleaseFiles,
        memory_problem: _Problem,
        report: Report,
    ) -> None:
        """Takes what loads.

        Args:
            service: the running Triton.
            folder: of the models that are loaded beside others.
            files: of the repository, with what was hashed before.
            memory_problem: says why there is no memory for a release, by another one of the same
                pipeline that is loaded.
            report: is told what happens.
        """
        self._service = service
        self._folder = folder
        self._files = files
        self._memory_problem = memory_problem
        self._report = report
        self._refused: dict[tuple[str, str], _Refusal] = {}
        self._retiring: dict[str, float] = {}
        """Since when an ensemble is not wanted any more."""
        self._said: dict[str, str] = {}
        """Problems of states by pipeline, to say each once."""
        self._signed_at: int | None = None
        """When the signatures were last changed, in nanoseconds; None where there are none."""
        self._pool = ThreadPoolExecutor(1)
        self._checked: tuple[ReleaseState, str, Future[VerifiedRelease]] | None = None

    def prepare(self, releases: Sequence[VerifiedRelease]) -> None:
        """Makes the folders of releases with names of their own; Triton refuses one without."""
        for release in releases:
            if release.staged:
                try:
                    self._folder.add(release)
                except OSError as error:
                    self._report.say(f"{release.name}: {error.filename}: {error.strerror}")

    def page(self) -> dict[str, dict[str, Any]]:
        """Of each pipeline the ids of the releases that are loaded, and why others are not."""
        found: dict[str, dict[str, Any]] = {}
        for release in list(self._service.served):
            of = found.setdefault(release.spec.name, {"loaded": [], "refused": {}})
            of["loaded"].append(release.identity)
        for (name, identity), refusal in list(self._refused.items()):
            of = found.setdefault(name, {"loaded": [], "refused": {}})
            of["refused"][identity] = refusal.reason
        return found

    def close(self) -> None:
        """Ends without waiting for files that are being verified."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def follow(self) -> None:
        """Takes the next step towards the states.

        Raises:
            UnhealthyError: Triton itself fails.
        """
        signed_at = self._signatures_changed()
        states = self._states()
        for name, state in states.items():
            if state is not None:
                self._retire_unwanted(state)
                if signed_at != self._signed_at:
                    self._unload_withdrawn(state)
            self._forget_refusals(name, state)
            if state is not None and self._checked is None and (missing := self._missing(state)):
                verified = self._pool.submit(self._verify, state, missing)
                self._checked = (state, missing, verified)
        self._signed_at = signed_at
        if self._checked is not None and self._checked[2].done():
            asked, identity, verified = self._checked
            self._checked = None
            now = states.get(asked.pipeline, asked)
            if now is not None and identity in now.loaded:
                self._load(now, identity, verified)

    def _states(self) -> dict[str, ReleaseState | None]:
        """By pipeline; None where it has none. Those that cannot be read are left out."""
        found = {}
        for name, profile in {(r.spec.name, r.spec.profile) for r in self._service.releases}:
            try:
                state = ReleaseState.read(name, profile, self._files.repository)
            except ReleaseError as error:
                if self._said.get(name) != str(error):
                    self._report.say(f"{name}: {error}; what is loaded stays")
                self._said[name] = str(error)
                continue
            self._said.pop(name, None)
            found[name] = state
        return found

    def _loaded(self, state: ReleaseState) -> list[VerifiedRelease]:
        return [each for each in self._service.releases if each.spec.name == state.pipeline]

    def _missing(self, state: ReleaseState) -> str | None:
        """The first release that is to be loaded next."""
        there = {release.identity for release in self._loaded(state)}
        now = time.monotonic()
        for identity in state.loaded:
            refusal = self._refused.get((state.pipeline, identity))
            if identity not in there and (refusal is None or refusal.until < now):
                return identity
        return None

    def _forget_refusals(self, pipeline: str, state: ReleaseState | None) -> None:
        for (name, identity), refusal in list(self._refused.items()):
            still = state is not None and identity in state.loaded
            same = state is not None and refusal.revision == state.revision
            if name == pipeline and not (still and same):
                del self._refused[name, identity]

    def _verify(self, state: ReleaseState, identity: str) -> VerifiedRelease:
        repository = self._files.repository
        return verify_kept(state.pipeline, identity, repository, self._files)

    def _load(self, state: ReleaseState, identity: str, verified: Future[VerifiedRelease]) -> None:
        started = time.monotonic()
        try:
            release = verified.result()
            problem = self._tried(release)
        except RefusedPipelineError as error:
            problem = str(error)
        key = state.pipeline, identity
        if problem is None:
            seconds = time.monotonic() - started
            self._report.say(f"{release.name}: is loaded after {seconds:.1f} s")
            self._refused.pop(key, None)
            return
        told = self._refused.get(key)
        until = time.monotonic() + _AGAIN_SECONDS
        self._refused[key] = _Refusal(state.revision, problem, until)
        if told is None or told.reason != problem:
            self._report.say(f"NOT LOADED  {state.pipeline}, release {identity}: {problem}")

    def _tried(self, release: VerifiedRelease) -> str | None:
        """Loads a release; says why it could not be, and then leaves nothing of it."""
        loaded = [each for each in self._service.served if each.spec.name == release.spec.name]
        if problem := self._memory_problem(release, loaded[0] if loaded else None):
            return problem
        try:
            self._folder.add(release)
        except OSError as error:
            return f"{error.filename}: {error.strerror}"
        if problem := self._service.stage(release):
            self._folder.remove(release)
        return problem

    def _signatures_changed(self) -> int | None:
        try:
            return (self._files.repository / TIMESTAMP).stat().st_mtime_ns
        except OSError:
            return None

    def _unload_withdrawn(self, state: ReleaseState) -> None:
        loaded = self._loaded(state)
        if not any(each.identity == state.current for each in self._service.served):
            return
        for release in loaded:
            if release.identity == state.current:
                continue
            try:
                self._files.require_signed(release.release)
            except ReleaseError as error:
                until = time.monotonic() + _AGAIN_SECONDS
                key = state.pipeline, release.identity
                self._refused[key] = _Refusal(state.revision, str(error), until)
                self._unload(release, f": {error}")

    def _unload(self, release: VerifiedRelease, why: str = "") -> None:
        self._service.retire(release)
        if release.staged:
            self._folder.remove(release)
        self._report.say(f"{release.name}: is unloaded{why}")

    def _retire_unwanted(self, state: ReleaseState) -> None:
        loaded = self._loaded(state)
        wanted = [each for each in loaded if each.identity in state.loaded]
        unwanted = [each for each in loaded if each not in wanted]
        for release in wanted:
            self._retiring.pop(release.name, None)
        current = [each for each in wanted if each.identity == state.current]
        if not current or current[0] not in self._service.served:
            # What is loaded answers until the current one does.
            return
        for release in unwanted:
            since = self._retiring.setdefault(release.name, time.monotonic())
            if time.monotonic() - since >= _GRACE_SECONDS:
                del self._retiring[release.name]
                self._unload(release)
