"""A running service for the tests: real launcher, real tritonserver, real gateway."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx

from lab.paths import ROOT
from lab.service import service
from lab.service.ports import free_ports
from pipelines.ports import Ports

__all__ = ["NAMES", "ROOT", "Service", "environment", "free_ports", "running"]
NAMES = tuple(name.upper() for name in Ports.model_fields)
"""Of the ports' variables: the gateway's, its gRPC, Triton's HTTP, gRPC and metrics, the server's
metrics."""


class Service(service.Service):
    """The lab's, with its ports by short names and its log."""

    gateway = property(lambda self: self.ports.gateway_port)
    gateway_grpc = property(lambda self: self.ports.gateway_grpc_port)
    triton_http = property(lambda self: self.ports.triton_http_port)
    triton_grpc = property(lambda self: self.ports.triton_grpc_port)
    triton_metrics = property(lambda self: self.ports.triton_metrics_port)
    server_metrics = property(lambda self: self.ports.server_metrics_port)

    @property
    def process(self) -> subprocess.Popen:
        """The launcher's."""
        return self.tree.process

    @property
    def gateway_address(self) -> str:
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

    def tail(self) -> str:
        return self.log.read_text("utf-8", "replace")[-4000:]


def environment(ports: list[int], **settings: str) -> dict[str, str]:
    return os.environ | dict(zip(NAMES, map(str, ports), strict=True)) | settings


@contextlib.contextmanager
def running(
    repository: Path, folder: Path, *arguments: str, wait: bool = True, **settings: str
) -> Iterator[Service]:
    """Starts `python -m server --gateway` on free ports and stops it with SIGTERM at the end."""
    started = Service(
        (), repository, log=folder / "service.log", environment=settings, arguments=arguments
    )
    started.start()
    try:
        if wait:
            started.wait_ready()
        yield started
    finally:
        started.stop()
