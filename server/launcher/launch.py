"""The order of a start and a stop: check, start, load, announce, watch, stop."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from pipelines.ports import Ports
from pipelines.signatures import SignatureRefusedError, Signatures
from pipelines.tls import TritonTls
from server.errors import PreflightError, UnhealthyError
from server.health.launcher_health import LauncherHealth
from server.health.status_page import StatusPage
from server.launcher import preflight, shared_memory
from server.launcher.certificate_renewal import CertificateRenewal
from server.launcher.gateway_process import GatewayProcess
from server.launcher.memory import Memory
from server.launcher.report import Report
from server.launcher.service import Service
from server.launcher.shutdown import Shutdown
from server.launcher.staging import Staging
from server.launcher.supervisor import LEAVE_SECONDS, Supervisor
from server.releases.discovery import PipelineDiscovery
from server.releases.staged_folder import StagedFolder
from server.releases.verified import VerifiedRelease
from server.triton import leftovers
from server.triton.connection import LOOPBACK
from server.triton.installation import Installation
from server.triton.process import TritonFiles, TritonProcess


@dataclass(frozen=True)
class Options:
    """What to serve, from where."""

    pipelines: list[str] | None
    """Names; None: all there are, and those that appear later."""
    profile: str
    gateway: bool
    repository: Path
    specs: Path
    runtime: Path
    """Folder for Triton's log and backend directory."""
    ports: Ports
    tls: TritonTls
    """Of Triton's gRPC."""
    host: str = LOOPBACK
    """Address to bind Triton's gRPC and all metrics to."""


def launch(options: Options, report: Report) -> None:
    """Serves until SIGTERM or Ctrl-C.

    Raises:
        ServerError: nothing can be served; the message has the remedy.
    """
    shutdown = Shutdown()
    signatures = _signatures(options, report)
    discovery = PipelineDiscovery(
        options.specs, options.repository, options.pipelines, options.profile, signatures
    )
    discovery.require_profile()
    releases, refused = discovery.look()
    for problem in refused:
        report.say(f"NOT SERVED  {problem}")
    if signatures is not None and signatures.problem is not None:
        report.say(f"SIGNATURES  {signatures.problem}")
    for release in releases:
        spec = release.spec
        if reason := discovery.reasons.get(spec.name):
            report.say(f"{spec.name}: served under the profile {spec.profile}: {reason}")
    if not releases:
        raise UnhealthyError("no pipeline can be served; the remedies are above")
    installation = Installation.find()
    ports = options.ports
    with ExitStack() as stack:
        stack.enter_context(preflight.lock(ports.triton_grpc_port))
        log = _log(options)
        # Before the preflight: processes that are left over may still hold our ports.
        if cleared := leftovers.clear(leftovers.region_prefix(ports.triton_grpc_port)):
            report.say(f"triton: {cleared}")
        with report.busy("preflight: checking this machine"):
            shared = shared_memory.needed_mib(releases, installation)
            preflight.check(installation, _needed(options), options.runtime, shared)
        backends = installation.lay_out_backends(options.runtime / "backends")
        files = TritonFiles(options.repository, backends, log, options.runtime / "staged")
        health = LauncherHealth(shutdown.requested)
        StatusPage(health).serve(options.host, ports.server_metrics_port)
        triton = TritonProcess(
            installation, files, ports, report.say, host=options.host, tls=options.tls
        )
        service = Service(triton, releases, report, shutdown.requested)
        stack.callback(_stop, report, "triton", lambda: service.stop(hurry=shutdown.hurried))
        gateway = (
            GatewayProcess(ports, options.host, options.repository) if options.gateway else None
        )
        staging = _staging(service, files, discovery, Memory(installation, triton), report)
        staging.prepare(releases)
        health.releases = staging.page
        supervisor = Supervisor(
            service,
            gateway,
            discovery,
            staging,
            report=report,
            health=health,
            shutdown=shutdown,
            renewal=CertificateRenewal(options.tls, lambda: triton.shown, report.say),
            # On loopback nobody looks whether it is ready.
            leave_seconds=0.0 if options.host == LOOPBACK else LEAVE_SECONDS,
        )
        if gateway:
            stack.callback(_stop, report, "gateway", lambda: gateway.stop(hurry=shutdown.hurried))
            gateway.start()
        service.start()
        if gateway:
            with report.busy("gateway: waiting until it is ready"):
                gateway.wait_until_ready(shutdown.requested, report.say)
        if not shutdown.requested():
            addresses = _addresses(options, files, gateway, service.served[0])
            problems = [*refused, *service.refused.values()]
            report.banner(service.served, problems, addresses, discovery.reasons)
            supervisor.run()
    report.say("stopped")


def _signatures(options: Options, report: Report) -> Signatures | None:
    """The signatures that the settings ask for; None where releases need none."""
    try:
        signatures = Signatures.asked_for(options.repository)
    except SignatureRefusedError as error:
        raise PreflightError(str(error)) from None
    if signatures is not None:
        report.say("releases must be signed")
    return signatures


def _staging(
    service: Service,
    files: TritonFiles,
    discovery: PipelineDiscovery,
    memory: Memory,
    report: Report,
) -> Staging:
    return Staging(service, StagedFolder(files.staged), discovery.files, memory.problem, report)


def _needed(options: Options) -> list[tuple[str, int]]:
    ports = {name.upper(): port for name, port in options.ports.model_dump().items()}
    if not options.gateway:
        del ports["GATEWAY_PORT"], ports["GATEWAY_GRPC_PORT"]
    return list(ports.items())


def _log(options: Options) -> Path:
    """The path of Triton's log; the log of the launcher before is kept beside it."""
    log = options.runtime / "triton.log"
    try:
        options.runtime.mkdir(parents=True, exist_ok=True)
        if log.exists():
            log.replace(options.runtime / "triton.log.1")
    except OSError as error:
        raise PreflightError(f"{options.runtime}: {error.strerror}: choose a --run-dir") from None
    return log


def _addresses(
    options: Options, files: TritonFiles, gateway: GatewayProcess | None, first: VerifiedRelease
) -> list[str]:
    host, ports = options.host, options.ports
    reach = "loopback only" if host == LOOPBACK else "keep it private"
    encrypted = ", mutual TLS" if options.tls.ca_file else ""
    lines = [
        f"Triton   gRPC {host}:{ports.triton_grpc_port} ({reach}{encrypted}), log {files.log}",
        f"metrics  http://{host}:{ports.server_metrics_port}/metrics",
    ]
    if gateway:
        path = f"{gateway.url}/api/v1/pipelines/{first.spec.name}/predict"
        lines += [
            f"gateway  {gateway.url}, gRPC {gateway.grpc_address}",
            f"try      curl -F file=@photo.jpg {path}",
        ]
    return lines


def _stop(report: Report, what: str, stop: Callable[[], None]) -> None:
    with report.busy(f"{what}: stopping (requests in flight may finish)"):
        stop()
