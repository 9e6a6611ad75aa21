"""The project's own service for a trial: the launcher with its gateway, on free ports."""

import os
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

import httpx
import psutil

from lab.bench.contender import free_ports
from lab.bench.environment import ROOT
from lab.bench.errors import BenchError
from lab.bench.tree import Tree
from pipelines.load import FOLDER
from pipelines.ports import Ports
from pipelines.profile import DEFAULT_PROFILE

_READY_WITHIN = 240.0
_PAUSE = 0.2
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


class _RoleTree(Tree):
    """Processes, each with what it does."""

    def roles(self, pipelines: Sequence[str]) -> list[tuple[str, psutil.Process]]:
        found = []
        for process in self._processes():
            try:
                found.append((role(process.cmdline(), pipelines), process))
            except psutil.Error:
                continue
        return found


class OwnService:
    """A running service; ends with its context."""

    def __init__(
        self,
        pipelines: Sequence[str],
        repository: Path,
        *,
        log: Path,
        specs: Path = FOLDER,
        profile: str = DEFAULT_PROFILE,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Says what to serve; the context starts it.

        Args:
            pipelines: all of them are waited for.
            repository: Triton's model repository.
            log: takes what the service prints.
            specs: folder of the YAML files.
            profile: of those.
            environment: variables, as `GATEWAY_TRITON_CALLS`.
        """
        self.pipelines = tuple(pipelines)
        names = Ports.model_fields
        self.ports = dict(zip(names, free_ports(len(names)), strict=True))
        self._arguments = ["--pipelines", ",".join(pipelines), "--profile", profile]
        self._arguments += ["--repository", str(repository), "--specs", str(specs)]
        self._environment = {name.upper(): str(port) for name, port in self.ports.items()}
        self._environment |= environment or {}
        self._log = log

    @property
    def port(self) -> int:
        """The gateway's, for HTTP."""
        return self.ports["gateway_port"]

    @property
    def url(self) -> str:
        """The gateway's."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        """Starts it and waits until every pipeline answers.

        Raises:
            BenchError: it ends, or does not get ready.
        """
        # A short path: its sockets are in there.
        self._folder = TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True)
        arguments = [*self._arguments, "--run-dir", self._folder.name]
        started = time.monotonic()
        self._tree = _RoleTree(
            [sys.executable, "-m", "server", "--gateway", *arguments],
            environment=self._environment,
            folder=ROOT,
            log=self._log,
        )
        try:
            self._wait_until_ready()
        except BaseException:
            self.__exit__()
            raise
        self.start_seconds = time.monotonic() - started
        """From the start of the process until every pipeline answered."""
        return self

    def __exit__(self, *_: object) -> None:
        self._tree.stop()
        self._folder.cleanup()

    def cpu_seconds(self) -> dict[str, float]:
        """User and system time so far, by role."""
        total: defaultdict[str, float] = defaultdict(float)
        for name, process in self._tree.roles(self.pipelines):
            try:
                times = process.cpu_times()
            except psutil.Error:
                continue
            total[name] += times.user + times.system
        return dict(total)

    def pss_mib(self) -> dict[str, float]:
        """Memory right now, shared pages divided among those that share them, by role."""
        total: defaultdict[str, float] = defaultdict(float)
        for name, process in self._tree.roles(self.pipelines):
            try:
                total[name] += process.memory_full_info().pss / _MIB
            except psutil.Error:
                continue
        return dict(total)

    def _wait_until_ready(self) -> None:
        until = time.monotonic() + _READY_WITHIN
        with httpx.Client(base_url=self.url, timeout=10, trust_env=False) as client:
            for name in self.pipelines:
                while not _ready(client, name):
                    if self._tree.ended or time.monotonic() > until:
                        words = self._tree.last_words()
                        raise BenchError(f"the service does not get ready; its log:\n{words}")
                    time.sleep(_PAUSE)


def _ready(client: httpx.Client, pipeline: str) -> bool:
    try:
        return client.get("/readyz", params={"pipeline": pipeline}).is_success
    except httpx.HTTPError:
        return False


CORES = len(os.sched_getaffinity(0))
"""Cores that this machine gives."""
