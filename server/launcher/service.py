"""Starts Triton with its releases, replaces what died, and stops it."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

from pipelines.protocol import DEFAULT_PIPELINE
from server.errors import RefusedPipelineError, StartError, UnhealthyError
from server.health.probe import Health, ProbeResult, probe
from server.launcher.report import Report
from server.releases.verified import VerifiedRelease
from server.triton import backend_processes, leftovers
from server.triton.backend_processes import BackendProcess
from server.triton.loading import Loader
from server.triton.process import TritonProcess

_STARTS = 3
DRAIN_SECONDS = 10.0
_START_PATIENCE_SECONDS = 60.0
_HEAL_PATIENCE_SECONDS = 8.0
_LOST_PATIENCE_SECONDS = 5.0
_PROBE_DEADLINE_SECONDS = 60.0
_MOST_WORKERS = 64
"""Threads, as an abandoned probe keeps one until Triton answers it or its deadline passes."""
_STALE_SECONDS = 30.0
_BACKEND_PROCESS = "Stub process"
"""How Triton speaks of a backend process that died."""


class Service:
    """The running Triton, the releases it serves, and their backend processes."""

    def __init__(
        self,
        triton: TritonProcess,
        releases: Sequence[VerifiedRelease],
        report: Report,
        stopping: Callable[[], bool],
    ) -> None:
        self.triton = triton
        self.served: list[VerifiedRelease] = []
        self.refused: dict[str, str] = {}
        """Why Triton does not serve a release, by its ensemble."""
        self.settled = False
        """Whether every release was tried since Triton was started."""
        self.meanwhile: Callable[[], None] = lambda: None
        """Called about five times a second while a model loads, which may take minutes."""
        # The default is what most callers ask for: it is back first.
        self._releases = sorted(releases, key=lambda each: each.spec.name != DEFAULT_PIPELINE)
        self._report = report
        self._stopping = stopping
        self._loader = Loader(triton.connection, triton.measures)
        self._watched: dict[str, set[int]] = {}
        self._owners: dict[int, BackendProcess] = {}
        """Every backend process that was seen since Triton was started, but those cleared away."""
        self._stale: dict[int, float] = {}
        self._loading: set[str] = set()
        self._pool = ThreadPoolExecutor(_MOST_WORKERS)

    def start(self) -> None:
        """Starts Triton and loads every release; each served one has answered an inference.

        Raises:
            StartError: Triton does not start.
            UnhealthyError: no pipeline can be served.
        """
        for last in [False] * (_STARTS - 1) + [True]:
            try:
                self._start_once()
            except (StartError, UnhealthyError) as error:
                known = self.triton.failed_transiently() or self.served
                self.triton.stop()
                if last or not known:
                    raise
                self._report.say(f"triton: {error}; starting it once more")
            else:
                return

    def _start_once(self) -> None:
        self.served, self.refused, self.settled = [], {}, False
        self._watched, self._owners = {}, {}
        with self._report.busy("triton: starting"):
            self.triton.start(self._stopping)
        for release in self._releases:
            self.try_to_serve(release)
        if not self.served and not self._stopping():
            raise UnhealthyError("no pipeline can be served: " + "; ".join(self.refused.values()))
        self.settled = True

    def admit(self, releases: Sequence[VerifiedRelease]) -> None:
        """Serves more releases, while the others go on.

        Raises:
            UnhealthyError: Triton itself fails. All of them are tried when it is started again.
        """
        self._releases += releases
        for release in releases:
            self.try_to_serve(release)

    def try_to_serve(self, release: VerifiedRelease) -> None:
        """Loads a release; where that fails, it is noted in `refused` and the others go on.

        Raises:
            UnhealthyError: Triton itself fails.
        """
        try:
            self._load_all(release)
        except RefusedPipelineError as error:
            self._refuse(release, str(error))
        else:
            self.refused.pop(release.name, None)
            self.served.append(release)

    def stage(self, release: VerifiedRelease) -> str | None:
        """Loads a release beside those that serve; where that fails, none of it stays loaded.

        Returns:
            Why it is not loaded; None: it is, and has answered an inference.

        Raises:
            UnhealthyError: Triton itself fails.
        """
        try:
            self._load_all(release)
        except RefusedPipelineError as error:
            self._unload(release)
            return str(error)
        self._releases.append(release)
        self.served.append(release)
        return None

    def retire(self, release: VerifiedRelease) -> None:
        """Unloads a release that no new requests come to, once it has answered those it has."""
        self._releases.remove(release)
        if release in self.served:
            self.served.remove(release)
        self.refused.pop(release.name, None)
        self._unload(release)

    @property
    def releases(self) -> tuple[VerifiedRelease, ...]:
        """All that are to be served, whether Triton serves them now or not."""
        return tuple(self._releases)

    def _unload(self, release: VerifiedRelease) -> None:
        for model in reversed(release.configs):
            deadline = time.monotonic() + DRAIN_SECONDS
            unloading = self._pool.submit(self._loader.unloaded, model)
            while time.monotonic() < deadline and not self._stopping():
                if self._done(unloading):
                    if unloading.result():
                        break
                    unloading = self._pool.submit(self._loader.unloaded, model)
                    time.sleep(0.1)
            # A model whose process was once replaced is never done unloading.
            self.end_processes(model=model)
            self._watched.pop(model, None)

    def waiting(self) -> list[VerifiedRelease]:
        """The verified releases that Triton does not serve now."""
        return [release for release in self._releases if release.name in self.refused]

    def dead(self, release: VerifiedRelease) -> list[str]:
        """A release's models that lost a backend process, in the order of loading."""
        living = self.triton.backend_processes().keys()
        watched = self._watched
        return [model for model in release.configs if not watched.get(model, set()) <= living]

    def heal(self, release: VerifiedRelease, models: Sequence[str]) -> bool:
        """Gives models new backend processes while everything goes on serving.

        Returns:
            Whether they answer; if not, the release is refused or more of it died meanwhile.

        Raises:
            UnhealthyError: Triton does not serve them although all went well.
        """
        try:
            release.verify()
            for model in models:
                self._load(release, model)
            self._loader.check(release)
        except RefusedPipelineError as error:
            # It may be refused already: healing goes on while others are healed.
            if release in self.served:
                self.served.remove(release)
            self._refuse(release, str(error))
            return False
        result = self._ask(release, _HEAL_PATIENCE_SECONDS)
        if result.health in {Health.PROCESS_DEAD, Health.NOT_LOADED, Health.UNREACHABLE}:
            if self.dead(release):
                return False
            raise UnhealthyError(f"{release.name}: {result.message}")
        return True

    def _refuse(self, release: VerifiedRelease, problem: str) -> None:
        # Not again for the same reason: the lines of the log below it have times of their own.
        told = self.refused.get(release.name, "").partition("\n")[0]
        if told != problem.partition("\n")[0]:
            self._report.say(f"NOT SERVED  {problem}")
        self.refused[release.name] = problem

    def end_processes(self, *, instance: str = "", model: str = "") -> None:
        """Ends the backend processes of an instance or model; they then count as dead."""
        for process in self.triton.backend_processes().values():
            if process.instance == instance or process.model == model:
                backend_processes.kill(process.pid)

    def end_stale_processes(self) -> None:
        """Ends processes of earlier generations, for which Triton would wait for ever.

        When one process of a model was killed, its other processes stay and keep their memory.
        """
        now = time.monotonic()
        stale = {
            process.pid: self._stale.get(process.pid, now)
            for process in self.triton.backend_processes().values()
            if process.pid not in self._watched.get(process.model, {process.pid})
            and process.model not in self._loading
        }
        self._stale = stale
        for pid, since in stale.items():
            if now - since > _STALE_SECONDS:
                backend_processes.kill(pid)

    def remove_dead_regions(self) -> None:
        """Removes the shared memory of backend processes that ended; it may hold images."""
        for pid in list(self._owners):
            if backend_processes.has_ended(pid):
                leftovers.remove_region(self._owners.pop(pid).region)
        self._owners |= self.triton.backend_processes()

    def start_again(self) -> None:
        """Lets requests in flight finish, ends Triton, and starts it.

        Raises:
            StartError: Triton does not start.
            UnhealthyError: no pipeline can be served.
        """
        self._end(self._stopping)
        self.start()

    def stop(self, *, hurry: Callable[[], bool]) -> None:
        """Lets requests in flight finish, then ends Triton."""
        self._end(hurry)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _end(self, hurry: Callable[[], bool]) -> None:
        # Triton stops an ensemble between two steps when it ends, but not when it unloads it.
        deadline = time.monotonic() + DRAIN_SECONDS
        for release in self.served:
            while self.triton.alive() and time.monotonic() < deadline and not hurry():
                if self._loader.unloaded(release.name):
                    break
                time.sleep(0.1)
        self.triton.stop(hurry=hurry)

    def _load_all(self, release: VerifiedRelease) -> None:
        release.verify()
        log, written = self.triton.log, self.triton.log.written()
        for number, model in enumerate(release.configs, start=1):
            if self._stopping():
                return
            with self._report.busy(f"loading {model} ({number} of {len(release.configs)})"):
                self._load(release, model)
        self._loader.check(release)
        result = self._ask(release, _START_PATIENCE_SECONDS)
        if result.health is not Health.ANSWERED and not self._stopping():
            problem = result.message.rstrip(".")
            if result.health is Health.PROCESS_DEAD:
                problem += log.tail(written)
            raise RefusedPipelineError(f"{release.name}: loaded, but it does not answer: {problem}")

    def _load(self, release: VerifiedRelease, model: str) -> None:
        """Loads one model; gives up where Triton waits for a process that is dead."""
        before, dead_before = set(self.triton.backend_processes()), self.triton.dead_processes()
        others = self._processes_of_others(model)
        patient_until = time.monotonic() + _LOST_PATIENCE_SECONDS
        log, written = self.triton.log, self.triton.log.written()
        load = self._pool.submit(self._loader.load, release, model)
        self._loading.add(model)
        load.add_done_callback(lambda _: self._loading.discard(model))
        while not self._done(load):
            # Those of other models are replaced meanwhile.
            others |= self._processes_of_others(model)
            died = self.triton.dead_processes() - dead_before - others
            if not died or self._new_processes(model, before):
                patient_until = time.monotonic() + _LOST_PATIENCE_SECONDS
            if time.monotonic() > patient_until:
                raise UnhealthyError(
                    f"{model}: a backend process died while it was loaded{log.tail(written)}"
                )
        try:
            load.result()
        except RefusedPipelineError as error:
            if not self.triton.alive():
                ended = f"tritonserver ended while it loaded {model}{log.tail(written)}"
                raise UnhealthyError(ended) from error
            if _BACKEND_PROCESS in str(error):
                # The cause is in the log alone: a missing library, no memory left.
                raise RefusedPipelineError(f"{str(error).rstrip('.')}{log.tail(written)}") from None
            raise
        # Before the first image comes.
        leftovers.close_regions(self.triton.prefix)
        # Processes of the generation before may take a while to end; they are not watched.
        self._watched[model] = self._new_processes(model, before)

    def _done(self, future: "Future[Any]") -> bool:
        """Waits a moment for a future; where it is not done, supervision has its turn."""
        if wait([future], timeout=0.2).done:
            return True
        self.meanwhile()
        return False

    def _processes_of_others(self, model: str) -> set[int]:
        living = self.triton.backend_processes().values()
        return {process.pid for process in living if process.model != model}

    def _new_processes(self, model: str, before: set[int]) -> set[int]:
        living = self.triton.backend_processes().values()
        return {
            process.pid
            for process in living
            if process.model == model and process.pid not in before
        }

    def _ask(self, release: VerifiedRelease, patience: float) -> ProbeResult:
        """Probes until there is an answer, or a result that waiting does not change.

        A probe that is not answered in time is left alone: a slow pass may take longer.
        """
        deadline = time.monotonic() + patience
        name = release.name
        while True:
            asked = self._pool.submit(probe, self.triton.connection, name, _PROBE_DEADLINE_SECONDS)
            while not self._done(asked):
                if self._stopping() or time.monotonic() > deadline:
                    return ProbeResult(Health.SILENT, f"nothing came within {patience:.0f} s")
            result = asked.result()
            passing = result.health in {Health.SILENT, Health.BUSY}
            if result.health is Health.PROCESS_DEAD and not self.dead(release):
                passing = True  # on a starved machine Triton gives up on a process too early
            if not passing or self._stopping() or time.monotonic() > deadline:
                return result
            time.sleep(0.2)
