"""Supervises backend processes, Triton and the gateway, and restarts those that died."""

import time
from collections import defaultdict
from concurrent.futures import Future, ThreadPoolExecutor

from pipelines.pauses import Pauses
from server.errors import ServerError, UnhealthyError
from server.health.launcher_health import LauncherHealth
from server.health.monitor import Action, HealthMonitor, Verdict
from server.launcher.backoff import Backoff
from server.launcher.certificate_renewal import CertificateRenewal
from server.launcher.gateway_process import GatewayProcess
from server.launcher.report import Report
from server.launcher.service import Service
from server.launcher.shutdown import Shutdown
from server.launcher.staging import Staging
from server.releases.discovery import PipelineDiscovery
from server.releases.verified import VerifiedRelease
from server.triton import backend_processes

_INTERVAL_SECONDS = 1.0
_TRITON, _GATEWAY = 0, -1
"""Stand for their process ids, which change."""
LEAVE_SECONDS = 45.0
"""Until callers of several Tritons have noticed that one is not ready; as preStop in k8s/."""
_PATIENCE = 10
"""Looks in a row with nothing served, after which Triton is started again."""


class Supervisor:
    """Looks at the processes every second, and acts on what the health monitor says.

    A process that is gone, or stopped by a signal at two looks in a row, is replaced. A process
    that dies again and again is replaced less and less often, but always again. While a model
    loads, the others are looked after.
    """

    def __init__(
        self,
        service: Service,
        gateway: GatewayProcess | None,
        discovery: PipelineDiscovery,
        staging: Staging,
        *,
        report: Report,
        health: LauncherHealth,
        shutdown: Shutdown,
        renewal: CertificateRenewal,
        leave_seconds: float = 0.0,
    ) -> None:
        """Takes all that it looks at.

        Args:
            service: Triton and its releases.
            gateway: if the launcher runs one.
            discovery: of releases that come later.
            staging: loads and unloads releases as their states change.
            report: told what is worth a line.
            health: of the launcher, for the status page.
            shutdown: ends the watch.
            renewal: says when Triton needs to read its TLS files again.
            leave_seconds: how long Triton answers, not ready, before it is started again for that.
        """
        self._renewal, self._leave_seconds = renewal, leave_seconds
        self._service = service
        self._gateway = gateway
        self._discovery = discovery
        self._staging = staging
        self._report = report
        self._health = health
        self._shutdown = shutdown
        self._monitor = HealthMonitor(service.triton, self._watched)
        self._backoff: defaultdict[str, Backoff] = defaultdict(Backoff)
        self._frozen: set[int] = set()
        self._failures = 0
        self._healing: set[str] = set()
        """Ensembles that get new processes at the moment."""
        self._pauses = Pauses(self._end_triton)
        self._pool = ThreadPoolExecutor(1)
        self._looking: Future[tuple[list[VerifiedRelease], list[str]]] | None = None
        self._next_look = 0.0
        service.meanwhile = self._look_meanwhile
        health.begin(self._answering)

    def run(self) -> None:
        """Watches until the shutdown is requested."""
        while not self._shutdown.wait(_INTERVAL_SECONDS):
            try:
                self._look()
                self._retry_refused()
                self._admit_newcomers()
                self._staging.follow()
                self._renew_certificate()
            except UnhealthyError as error:
                self._restart(str(error))
        self._monitor.close()
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._staging.close()

    def _look(self) -> None:
        """What has to be done each second, whatever else goes on.

        Raises:
            UnhealthyError: Triton has to be started again.
        """
        self._next_look = time.monotonic() + _INTERVAL_SECONDS
        self._health.look()
        self._service.triton.log.bound()
        if (seconds := self._pauses.stood_still()) is not None:
            # What ended because of that is no fault of its own.
            self._backoff.clear()
            pause = f"this machine, or the service, stood still for {seconds:.0f} s"
            if self._service.served:
                raise UnhealthyError(f"{pause}: its shared memory cannot be trusted")
            self._report.say(pause)
        self._watch_gateway()
        self._watch_triton()
        self._watch_processes()
        for verdict in self._monitor.verdicts():
            self._act_on(verdict)

    def _look_meanwhile(self) -> None:
        # Where Triton ended, what waits for it says so, with the end of its log.
        if time.monotonic() >= self._next_look and self._service.triton.alive():
            self._look()

    def _end_triton(self) -> None:
        """Ends a Triton that went through a pause, before it answers anybody (decisions/0050)."""
        if self._service.served and (pid := self._service.triton.pid):
            backend_processes.kill(pid)

    def _watched(self) -> list[VerifiedRelease]:
        served = self._service.served
        return [release for release in served if release.name not in self._healing]

    def _answering(self) -> list[str]:
        if not (self._service.settled and self._service.triton.alive()):
            return []
        return list(dict.fromkeys(release.spec.name for release in self._service.served))

    def _watch_gateway(self) -> None:
        # Until it is ready for the first time, its end is an error of its settings.
        if self._gateway is None or not self._gateway.was_ready:
            return
        if self._gateway.alive():
            reason = "it does not answer and does nothing" if self._gateway.hangs() else None
            if self._frozen_again(_GATEWAY, self._gateway.frozen()):
                reason = "it is stopped by a signal"
            if reason is None:
                return
            self._report.say(f"gateway: {reason}; ending it")
            self._gateway.kill()
        if self._backoff["gateway"].due():
            self._report.say("gateway: it ended; starting it again")
            self._gateway.start()

    def _watch_triton(self) -> None:
        if not self._service.triton.alive():
            raise UnhealthyError("tritonserver ended")
        if self._frozen_again(_TRITON, self._service.triton.frozen()):
            raise UnhealthyError("tritonserver is stopped by a signal")

    def _watch_processes(self) -> None:
        for process in self._service.triton.backend_processes().values():
            if self._frozen_again(process.pid, process.frozen):
                self._report.say(
                    f"{process.model}: process {process.pid} is stopped by a signal; ending it"
                )
                self._service.end_processes(instance=process.instance)
        self._service.end_stale_processes()
        self._service.remove_dead_regions()
        for release in self._watched():
            # Each model by itself: deaths of one do not make another wait.
            dead = [model for model in self._service.dead(release) if self._backoff[model].due()]
            if dead:
                self._heal(release, dead, "a backend process died; replacing it")

    def _act_on(self, verdict: Verdict) -> None:
        what = f"{verdict.subject}: {verdict.reason}"
        match verdict.action:
            case Action.NOTE:
                self._report.say(f"{what} (the probe's answer)")
            case Action.KILL_INSTANCE:
                self._report.say(f"{what}; ending that process")
                self._service.end_processes(instance=verdict.subject)
            case Action.KILL_MODEL:
                self._report.say(f"{what}; ending its processes")
                self._service.end_processes(model=verdict.subject)
            case Action.RELOAD:
                for release in self._watched():
                    if release.name == verdict.subject:
                        why = f"{verdict.reason}; loading it again"
                        self._heal(release, list(release.configs), why)
            case Action.RESTART:
                raise UnhealthyError(what)

    def _heal(self, release: VerifiedRelease, models: list[str], why: str) -> None:
        names = ", ".join(models)
        self._report.say(f"{names}: {why}")
        started = time.monotonic()
        for model in models:
            self._health.process_restarts.labels(model).inc()
        self._healing.add(release.name)
        try:
            if self._service.heal(release, models):
                self._report.say(f"{names}: healed in {time.monotonic() - started:.1f} s")
        finally:
            self._healing.discard(release.name)
        self._monitor.healed(release.name)

    def _retry_refused(self) -> None:
        for release in self._service.waiting():
            if self._backoff[release.name].due():
                self._service.try_to_serve(release)
                if release in self._service.served:
                    self._report.say(f"{release.name}: is served again")
        self._failures = 0 if self._service.served else self._failures + 1
        if self._failures >= _PATIENCE:
            raise UnhealthyError("no pipeline is served")

    def _admit_newcomers(self) -> None:
        # In a thread: the files of a new release may take minutes to verify.
        self._looking = self._looking or self._pool.submit(self._discovery.look)
        if not self._looking.done():
            return
        releases, problems = self._looking.result()
        self._looking = None
        for problem in problems:
            self._report.say(f"NOT SERVED  {problem}")
        self._staging.prepare(releases)
        self._service.admit(releases)
        for release in releases:
            if release in self._service.served:
                spec, identity = release.spec, release.identity
                self._report.say(
                    f"{spec.name}: is served now, profile {spec.profile}, release {identity}"
                )

    def _renew_certificate(self) -> None:
        """Starts Triton again in order where its TLS files were renewed.

        Raises:
            UnhealthyError: it has to be started once more.
        """
        if not self._renewal.due():
            return
        self._report.say("triton: ending it, to start it with its renewed TLS files")
        self._health.leaving = True
        try:
            gone = time.monotonic() + self._leave_seconds
            while time.monotonic() < gone and not self._shutdown.wait(_INTERVAL_SECONDS):
                self._look()
            if self._shutdown.requested():
                return
            started = time.monotonic()
            self._service.start_again()
        except ServerError as error:
            raise UnhealthyError(str(error)) from None
        finally:
            self._health.leaving = False
        self._report.say(f"triton: serves again after {time.monotonic() - started:.1f} s")

    def _restart(self, reason: str) -> None:
        while not self._shutdown.requested():
            self._health.restarts.inc()
            self._health.look()
            delay = self._backoff["triton"].delay()
            self._report.say(f"triton: {reason}; starting it again in {delay:.0f} s")
            self._service.triton.kill()
            self._frozen.clear()
            if self._shutdown.wait(delay):
                return
            started = time.monotonic()
            try:
                self._service.start()
            except ServerError as error:
                reason = str(error)
                continue
            self._failures = 0
            if not self._shutdown.requested():
                names = ", ".join(release.spec.name for release in self._service.served)
                self._report.say(f"triton: serves {names} after {time.monotonic() - started:.1f} s")
            return

    def _frozen_again(self, pid: int, frozen: bool) -> bool:
        """Whether a process is stopped by a signal now and was so at the last look."""
        if frozen and pid in self._frozen:
            self._frozen.discard(pid)
            return True
        (self._frozen.add if frozen else self._frozen.discard)(pid)
        return False
