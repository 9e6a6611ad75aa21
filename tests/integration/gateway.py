"""A gateway alone, with settings of its own, before a Triton that may be there or not."""

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx

from lab.service.gateway import Gateway


class Client(httpx.Client):
    """Asks over HTTP; knows the gateway's process and where it answers over gRPC."""

    process: subprocess.Popen
    gateway_address: str


@contextlib.contextmanager
def gateway(triton_grpc: int, **settings: str) -> Iterator[Client]:
    """Starts `python -m gateway` on free ports, and stops it with SIGTERM at the end."""
    with (
        tempfile.TemporaryDirectory(prefix="gateway-") as folder,
        Gateway(triton_grpc, log=Path(folder) / "log", environment=settings) as running,
        Client(base_url=running.url, timeout=60) as client,
    ):
        client.process = running.tree.process
        client.gateway_address = f"127.0.0.1:{running.ports.gateway_grpc_port}"
        yield client
