"""The running service: one launcher or several, two gateways, and the real commands."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import psutil

from lab.errors import LabError
from lab.paths import ROOT
from lab.releases.proof.canaries import photo
from lab.releases.proof.world import NAME, World
from lab.service.gateway import Gateway
from lab.service.program import Program
from lab.service.service import Service

_SECONDS = 120.0
_PAUSE = 0.1


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    status: int
    output: str
    errors: str

    @property
    def said(self) -> str:
        """What it printed last: the reason, where it was refused."""
        lines = (self.errors.strip() or self.output.strip()).splitlines()
        return lines[-1] if lines else ""


class Running:
    """Two gateways of one database and one pepper, before one Triton or several.

    The first gateway is the launcher's own, where there is one launcher.
    """

    def __init__(self, world: World, folder: Path, *, tritons: int = 1) -> None:
        """`folder` takes the database, secrets and logs."""
        self.world, self.folder = world, folder
        shared = {
            "GATEWAY_DATABASE_URL": f"sqlite:///{folder}/gateway.db",
            "GATEWAY_SECRETS_DIR": f"{folder}/secrets",
            "GATEWAY_CALLER_SHARE": "1",
        }
        self.database = shared["GATEWAY_DATABASE_URL"]
        self.servers = [
            Service(
                (NAME,),
                world.place.repository,
                log=folder / f"server-{number}.log",
                specs=world.place.specs,
                environment=shared,
                gateway=tritons == 1,
            )
            for number in range(tritons)
        ]
        ports = [each.ports.triton_grpc_port for each in self.servers]
        self.gateways: list[Program] = [
            Gateway(*ports, log=folder / f"gateway-{number}.log", environment=shared)
            for number in range(1 if tritons == 1 else 2)
        ]
        self.alone = list(self.gateways)
        """The gateways that no launcher runs."""
        if tritons == 1:
            self.gateways.insert(0, self.servers[0])

    def __enter__(self) -> Self:
        with ExitStack() as started:
            for program in (*self.servers, *self.alone):
                started.enter_context(program)
            self.until(lambda: self.answers() is not None)
            self._started = started.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._started.close()

    @property
    def server(self) -> Service:
        """The first launcher: the commands run beside it."""
        return self.servers[0]

    @property
    def doors(self) -> list[tuple[int, int]]:
        """HTTP and gRPC ports of each gateway."""
        ports = [each.ports for each in self.gateways]
        return [(each.gateway_port, each.gateway_grpc_port) for each in ports]

    def begin(self, *words: str) -> "subprocess.Popen[str]":
        """Starts `python -m releases` on the pipeline."""
        command, *more = words
        argv = [sys.executable, "-m", "releases", command, NAME, *more]
        if command != "history":
            argv += ["--repository", str(self.world.place.repository)]
        if command == "gate":
            argv += ["--specs", str(self.world.place.specs)]
        environment = {
            "GATEWAY_DATABASE_URL": self.database,
            "SERVER_METRICS_PORT": str(self.server.ports.server_metrics_port),
            "SECONDOPINION_URL": self.gateways[0].url,
            "PYTHONPATH": os.pathsep.join([str(ROOT / "client" / "src"), str(ROOT)]),
        }
        return subprocess.Popen(
            argv,
            cwd=ROOT,
            env=os.environ | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def command(self, *words: str) -> Done:
        """Runs one to its end."""
        process = self.begin(*words)
        output, errors = process.communicate(timeout=600)
        return Done(process.returncode, output, errors)

    def must(self, *words: str) -> dict[str, Any]:
        """Runs one that has to succeed; gives its JSON.

        Raises:
            LabError: it did not.
        """
        done = self.command(*words, "--json")
        if done.status:
            raise LabError(f"python -m releases {' '.join(words)}: {done.errors or done.output}")
        found: dict[str, Any] = json.loads(done.output)
        return found

    def history(self) -> list[dict[str, Any]]:
        """The changes, the newest first."""
        done = self.command("history", "--json")
        if done.status:
            raise LabError(done.errors)
        found: list[dict[str, Any]] = json.loads(done.output)
        return found

    def loaded(self, number: int = 0) -> list[str]:
        """The releases that a launcher says are loaded."""
        url = f"http://127.0.0.1:{self.servers[number].ports.server_metrics_port}/releases"
        try:
            page = httpx.get(url, timeout=10, trust_env=False).json()
        except (httpx.HTTPError, ValueError):
            return []
        loaded: list[str] = page.get(NAME, {}).get("loaded", [])
        return loaded

    def answers(self) -> set[str] | None:
        """The releases that answer eight subjects over both gateways; None: one does not answer."""
        found = set()
        for port, _ in self.doors:
            for number in range(8):
                headers = {"Content-Type": "image/png", "X-Subject-ID": f"asked-{number}"}
                try:
                    answer = httpx.post(
                        f"http://127.0.0.1:{port}/api/v1/pipelines/{NAME}/predict",
                        content=photo(),
                        headers=headers,
                        timeout=30,
                        trust_env=False,
                    )
                except httpx.HTTPError:
                    return None
                if not answer.is_success:
                    return None
                found.add(answer.json()["release"])
        return found

    def until(self, condition: Callable[[], bool]) -> float:
        """Waits; gives the seconds that it took.

        Raises:
            LabError: it did not become true.
        """
        began = time.monotonic()
        while not condition():
            if time.monotonic() - began > _SECONDS:
                raise LabError(f"after {_SECONDS:.0f} s: {self.server.tree.log_tail()}")
            time.sleep(_PAUSE)
        return time.monotonic() - began

    def own_gateway(self) -> psutil.Process:
        """The process of the launcher's gateway.

        Raises:
            LabError: there is none.
        """
        for process in self.server.tree.processes():
            try:
                if process.cmdline()[1:3] == ["-m", "gateway"]:
                    return process
            except psutil.Error:
                continue
        raise LabError("the launcher has no gateway")
