"""The service on free ports: the launcher with tritonserver and, by default, the gateway."""

import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

import httpx
import psutil

from lab.errors import LabError
from lab.paths import ROOT
from lab.service.ports import free_service_ports, port_variables
from lab.service.process_tree import ProcessTree
from pipelines.load import FOLDER
from pipelines.profile import DEFAULT_PROFILE

_READY_SECONDS = 240.0
_PAUSE_SECONDS = 0.2
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


class Service:
    """Starts when its context is entered, or by `start`; ends with its context, or by `stop`."""

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
        self.ports = free_service_ports()
        self.log = log
        if run is None:
            # A short path: sockets are in there.
            self._folder = TemporaryDirectory(prefix="lab-", ignore_cleanup_errors=True)
            run = Path(self._folder.name)
        self.argv = [sys.executable, "-m", "server", "--profile", profile]
        self.argv += ["--repository", str(repository), "--specs", str(specs)]
        self.argv += ["--run-dir", str(run)]
        self.argv += ["--pipelines", ",".join(pipelines)] if pipelines else []
        self.argv += [*(["--gateway"] if gateway else []), *arguments]
        self.environment = port_variables(self.ports) | dict(environment or {})
        port = self.ports.gateway_port if gateway else self.ports.server_metrics_port
        self.readiness = f"http://127.0.0.1:{port}/readyz"
        """Says 200 when all is ready; with `?pipeline=NAME`, when that pipeline is."""

    @property
    def url(self) -> str:
        """The gateway's, over HTTP."""
        return f"http://127.0.0.1:{self.ports.gateway_port}"

    @property
    def tree(self) -> ProcessTree:
        """All its processes; only after `start`."""
        return self._tree

    def __enter__(self) -> Self:
        """Starts it and waits until every pipeline answers.

        Raises:
            LabError: it ends, or does not get ready.
        """
        started = time.monotonic()
        self.start()
        try:
            self.wait_ready()
        except BaseException:
            self.stop()
            raise
        self.start_seconds = time.monotonic() - started
        """From the start of the process until every pipeline answered."""
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Starts the process, and waits for nothing."""
        self._tree = ProcessTree(self.argv, environment=self.environment, folder=ROOT, log=self.log)

    def stop(self) -> None:
        """Ends it with SIGTERM, and what is left of it with SIGKILL."""
        self._tree.stop()
        if hasattr(self, "_folder"):
            self._folder.cleanup()

    def wait_ready(self, seconds: float = _READY_SECONDS) -> None:
        """Waits until every pipeline answers.

        Raises:
            LabError: it ends, or does not get ready in time.
        """
        until = time.monotonic() + seconds
        for name in self.pipelines or (None,):
            while not self.ready(name):
                if self._tree.ended or time.monotonic() > until:
                    words = self._tree.log_tail()
                    raise LabError(f"the service does not get ready; its log:\n{words}")
                time.sleep(_PAUSE_SECONDS)

    def ready(self, pipeline: str | None = None) -> bool:
        """Whether a pipeline answers; without a name, whether the service calls itself ready."""
        asked = {"pipeline": pipeline} if pipeline else {}
        try:
            with httpx.Client(timeout=10, trust_env=False) as client:
                return client.get(self.readiness, params=asked).is_success
        except httpx.HTTPError:
            return False

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

    def _roles(self) -> list[tuple[str, psutil.Process]]:
        found = []
        for process in self._tree.processes():
            try:
                found.append((role(process.cmdline(), self.pipelines), process))
            except psutil.Error:
                continue
        return found
