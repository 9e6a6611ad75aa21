"""A gateway alone, with settings of its own, before a Triton that may be there or not."""

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import httpx

from lab.service.gateway import Gateway


class Client(httpx.Client):
    """Asks over HTTP; knows the gateway's process and where it answers over gRPC."""

    process: subprocess.Popen
    settings: dict[str, str]
    gateway_address: str

    def new_key(self, *roles: str) -> str:
        """An API key of this gateway, as its operator makes it."""
        words = [word for role in roles for word in ("--role", role)]
        made = subprocess.run(
            [sys.executable, "-m", "gateway", "keys", "create", *words],
            env=os.environ | self.settings,
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return made.stdout.strip()


@contextlib.contextmanager
def gateway(
    triton_grpc: int,
    of_url: Callable[[str], Mapping[str, str]] | None = None,
    **settings: str,
) -> Iterator[Client]:
    """Starts `python -m gateway` on free ports, and stops it with SIGTERM at the end.

    Args:
        triton_grpc: the port of whatever leads to Triton.
        of_url: gives further settings by the address that the gateway will have.
        settings: its other settings.
    """
    with tempfile.TemporaryDirectory(prefix="gateway-") as folder, contextlib.ExitStack() as stack:
        own = {
            "GATEWAY_DATABASE_URL": f"sqlite:///{folder}/gateway.db",
            "GATEWAY_SECRETS_DIR": f"{folder}/secrets",
        }
        running = Gateway(triton_grpc, log=Path(folder) / "log", environment=own | settings)
        if of_url is not None:
            running.environment.update(of_url(running.url))
        stack.enter_context(running)
        client = stack.enter_context(Client(base_url=running.url, timeout=60))
        client.settings = own | settings
        client.process = running.tree.process
        client.gateway_address = f"127.0.0.1:{running.ports.gateway_grpc_port}"
        yield client
