"""The service on free ports: the launcher with tritonserver and, by default, the gateway."""

import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from lab.service.ports import free_service_ports
from lab.service.program import PATIENCE, Program, answers
from pipelines.load import FOLDER
from pipelines.profile import DEFAULT_PROFILE

_STUB = "triton_python_backend_stub"
_MIB = 1024 * 1024

GATEWAY, TRITON, LAUNCHER = "gateway", "tritonserver", "launcher"
DECODE, DECISION = "decode", "decision"
STEPS = (GATEWAY, TRITON, DECODE, DECISION)
"""Roles of processes that no member has; any other role but the launcher's is a member's name."""


def role(words: Sequence[str], pipelines: Sequence[str]) -> str:
    """What a process of the service does, by its command line.

    Returns:
        A step of `STEPS`, a member's name, or `launcher` for whatever only keeps them running.
    """
    if not words:
        return LAUNCHER
    if words[0].endswith(_STUB):
        model = Path(words[1]).parent.parent.name
        owner = max((name for name in pipelines if model.startswith(f"{name}_")), key=len)
        return model.removeprefix(f"{owner}_")
    if Path(words[0]).name == TRITON:
        return TRITON
    return GATEWAY if tuple(words[1:3]) == ("-m", GATEWAY) else LAUNCHER


class Service(Program):
    """`python -m server`, by default with the gateway; ready when every pipeline answers."""

    def __init__(
        self,
        pipelines: Sequence[str],
        repository: Path,
        *,
        log: Path,
        specs: Path = FOLDER,
        profile: str = DEFAULT_PROFILE,
        run: Path | None = None,
        environment: Mapping[str, str] | None = None,
        gateway: bool = True,
        arguments: Sequence[str] = (),
    ) -> None:
        """Says what to serve.

        Args:
            pipelines: names, all of which are waited for; none: `python -m server` chooses.
            repository: Triton's model repository.
            log: takes what the service prints.
            specs: folder of the YAML files.
            profile: of those.
            run: folder for run-time files, which is kept; None: a temporary one.
            environment: variables, as `GATEWAY_TRITON_CALLS`.
            gateway: whether the gateway runs too.
            arguments: further ones of `python -m server`.
        """
        self.pipelines = tuple(pipelines)
        self._folder = None
        if run is None:
            # A short path: sockets are in there.
            self._folder = TemporaryDirectory(prefix="lab-", ignore_cleanup_errors=True)
            run = Path(self._folder.name)
        argv = [sys.executable, "-m", "server", "--profile", profile, "--run-dir", str(run)]
        argv += ["--repository", str(repository), "--specs", str(specs)]
        argv += ["--pipelines", ",".join(pipelines)] if pipelines else []
        argv += [*(["--gateway"] if gateway else []), *arguments]
        variables = {
            # Those who ask stand for many callers, but all have this machine's address.
            "GATEWAY_CALLER_SHARE": "1",
            **PATIENCE,
            # What is asked here is no part of the audit log of whoever serves from this folder.
            "GATEWAY_DATABASE_URL": f"sqlite:///{run.absolute()}/gateway.db",
            "GATEWAY_SECRETS_DIR": f"{run.absolute()}/secrets",
            **(environment or {}),
        }
        super().__init__(argv, free_service_ports(), log, variables)
        port = self.ports.gateway_port if gateway else self.ports.server_metrics_port
        self.readiness = f"http://127.0.0.1:{port}/readyz"
        """Says 200 when all is ready; with `?pipeline=NAME`, when that pipeline is."""

    def ready(self) -> bool:
        """Whether every pipeline answers; where none is named, what the service says of itself."""
        return all(
            answers(f"{self.readiness}?pipeline={name}" if name else self.readiness)
            for name in self.pipelines or ("",)
        )

    def stop(self) -> None:
        """Ends it, and removes its temporary folder."""
        super().stop()
        if self._folder:
            self._folder.cleanup()

    def cpu_seconds(self) -> dict[str, float]:
        """User and system time so far, by role."""
        total: defaultdict[str, float] = defaultdict(float)
        for name, process in self._roles():
            try:
                times = process.cpu_times()
            except psutil.Error:
                continue
            total[name] += times.user + times.system
        return dict(total)

    def pss_mib(self) -> dict[str, float]:
        """Memory right now, shared pages divided among those that share them, by role."""
        total: defaultdict[str, float] = defaultdict(float)
        for name, process in self._roles():
            try:
                total[name] += process.memory_full_info().pss / _MIB
            except psutil.Error:
                continue
        return dict(total)

    def pids(self) -> list[tuple[str, int]]:
        """The processes that run now, each with its role."""
        return [(name, process.pid) for name, process in self._roles()]

    def _roles(self) -> list[tuple[str, psutil.Process]]:
        found = []
        for process in self._tree.processes():
            try:
                found.append((role(process.cmdline(), self.pipelines), process))
            except psutil.Error:
                continue
        return found
