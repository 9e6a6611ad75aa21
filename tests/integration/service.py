"""A running service for the tests: real launcher, real tritonserver, real gateway."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[2]
START_SECONDS = 120


NAMES = (
    "GATEWAY",
    "GATEWAY_GRPC",
    "TRITON_HTTP",
    "TRITON_GRPC",
    "TRITON_METRICS",
    "SERVER_METRICS",
)
"""Of the ports, in the order of `Service`."""


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@dataclass(frozen=True)
class Service:
    """Where a running service listens, its launcher's process, its log."""

    process: subprocess.Popen[bytes]
    log: Path
    gateway: int
    gateway_grpc: int
    triton_http: int
    triton_grpc: int
    triton_metrics: int
    server_metrics: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.gateway}"

    @property
    def door(self) -> str:
        """The gateway's gRPC."""
        return f"127.0.0.1:{self.gateway_grpc}"

    @property
    def grpc(self) -> str:
        """Triton's own."""
        return f"127.0.0.1:{self.triton_grpc}"

    def metrics(self, port: int) -> dict[str, float]:
        """A scrape, by sample with its labels."""
        text = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=10).text
        lines = [line.rsplit(" ", 1) for line in text.splitlines() if line and line[0] != "#"]
        return {name: float(value) for name, value in lines}

    def ready(self) -> bool:
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(f"{self.url}/readyz", timeout=5).status_code == 200
        return False

    def wait_ready(self, seconds: float = START_SECONDS) -> None:
        give_up = time.monotonic() + seconds
        while not self.ready():
            assert self.process.poll() is None, f"the launcher ended:\n{self.tail()}"
            assert time.monotonic() < give_up, f"not ready in {seconds} s:\n{self.tail()}"
            time.sleep(0.2)

    def tail(self) -> str:
        return self.log.read_text("utf-8", "replace")[-4000:]


def environment(ports: list[int], **settings: str) -> dict[str, str]:
    moved = {f"{name}_PORT": str(port) for name, port in zip(NAMES, ports, strict=True)}
    return os.environ | moved | settings


@contextlib.contextmanager
def running(
    repository: Path, folder: Path, *arguments: str, wait: bool = True, **settings: str
) -> Iterator[Service]:
    """Starts `python -m server --gateway` on free ports and stops it with SIGTERM at the end."""
    ports = free_ports(len(NAMES))
    log = folder / "service.log"
    command = [sys.executable, "-m", "server", "--gateway", "--repository", str(repository)]
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*command, *arguments],
            cwd=ROOT,
            env=environment(ports, **settings),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    service = Service(process, log, *ports)
    try:
        if wait:
            service.wait_ready()
        yield service
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(60)
