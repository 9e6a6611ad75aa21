"""The real gateway, with the settings that its Deployment gives it."""

import asyncio
import contextlib
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx

from lab.autoscaling.errors import SimulationError
from lab.autoscaling.pipeline import PIPELINE
from lab.bench.contender import free_ports
from lab.bench.environment import ROOT
from lab.bench.tree import Tree

_NOT_HERE = {"GATEWAY_HOST", "GATEWAY_API_KEYS_FILE"}
"""Beyond loopback it would ask for keys."""


class Gateway:
    """A running one."""

    def __init__(self, triton: int, settings: Mapping[str, str], folder: Path) -> None:
        """Starts it.

        Args:
            triton: port of whatever leads to Triton's gRPC.
            settings: its environment.
            folder: for its log.
        """
        self.port, grpc = free_ports(2)
        shipped = {name: value for name, value in settings.items() if name not in _NOT_HERE}
        own = {
            "GATEWAY_TRITON_HOST": "127.0.0.1",
            "TRITON_GRPC_PORT": str(triton),
            "GATEWAY_PORT": str(self.port),
            "GATEWAY_GRPC_PORT": str(grpc),
            "GATEWAY_DEFAULT_PIPELINE": PIPELINE,
        }
        self._tree = Tree(
            [sys.executable, "-m", "gateway"],
            environment=shipped | own,
            folder=ROOT,
            log=folder / "gateway.log",
        )

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    async def ready(self) -> bool:
        """Whether the pipeline answers through it.

        Raises:
            SimulationError: it ended.
        """
        if self._tree.ended:
            raise SimulationError(f"the gateway ended:\n{self._tree.last_words()}")
        async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
            with contextlib.suppress(httpx.HTTPError):
                return (await client.get(f"{self.url}/readyz")).is_success
        return False

    async def close(self) -> None:
        """Ends it."""
        await asyncio.to_thread(self._tree.stop)
