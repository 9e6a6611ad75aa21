"""Runs Envoy between gateway and Tritons: least-request balancing, health checks."""

import asyncio
import contextlib
import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import httpx
import yaml

from lab.autoscaling import envoy_config
from lab.autoscaling.envoy_config import CLUSTER, address
from lab.errors import LabError
from lab.paths import ROOT
from lab.service.ports import free_ports
from lab.service.process_tree import ProcessTree
from pipelines import atomic_write

CACHED = ROOT / ".cache" / "envoy" / "bin" / "envoy"
State = Literal["HEALTHY", "DRAINING"]
_QUIET = ("--concurrency", "1", "--log-level", "warning")


def executable() -> Path:
    """Envoy on PATH, else in an environment of its own.

    Raises:
        LabError: it is nowhere.
    """
    if found := shutil.which("envoy"):
        return Path(found)
    if not CACHED.is_file():
        raise LabError("envoy: not on PATH: run `make autoscaling`, which gets it")
    return CACHED


class Envoy:
    """A running one; `route` says where to."""

    def __init__(self, folder: Path) -> None:
        """Starts it, with nowhere to send to yet.

        Raises:
            LabError: there is no Envoy.
        """
        self._endpoints = folder / "endpoints.json"
        self.port, self._admin_port = free_ports(2)
        self.route([])
        config = folder / "envoy.yaml"
        config.write_text(
            yaml.safe_dump(envoy_config.config(self.port, self._admin_port, self._endpoints)),
            "utf-8",
        )
        self._tree = ProcessTree(
            # Without hot restarts it shares nothing with other Envoys of this machine.
            [executable(), "-c", config, "--disable-hot-restart", *_QUIET],
            environment={},
            folder=folder,
            log=folder / "envoy.log",
        )
        self._admin = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{self._admin_port}", trust_env=False, timeout=5
        )

    def route(self, endpoints: Iterable[tuple[int, State]]) -> None:
        """Says which ports there are; what is draining gets nothing new."""
        found = [
            {
                "endpoint": {"address": address(port)},
                "health_status": state,
            }
            for port, state in endpoints
        ]
        document = {
            "version_info": "1",
            "resources": [
                {
                    "@type": "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
                    "cluster_name": CLUSTER,
                    "endpoints": [{"lb_endpoints": found}],
                }
            ],
        }
        # Envoy looks when another file is moved to this place.
        atomic_write.write_text(self._endpoints, json.dumps(document))

    async def ready(self) -> bool:
        """Whether it serves.

        Raises:
            LabError: it ended.
        """
        if self._tree.ended:
            raise LabError(f"envoy ended:\n{self._tree.log_tail()}")
        with contextlib.suppress(httpx.HTTPError):
            return (await self._admin.get("/ready")).is_success
        return False

    async def states(self) -> dict[int, tuple[bool, int]]:
        """Of each port: whether it gets new requests, and how many it has under way.

        Raises:
            LabError: Envoy does not answer.
        """
        clusters = (await self._told("/clusters"))["cluster_statuses"]
        (cluster,) = (each for each in clusters if each["name"] == CLUSTER)
        return {
            host["address"]["socket_address"]["port_value"]: (_healthy(host), _active(host))
            for host in cluster.get("host_statuses", [])
        }

    async def failures(self) -> int:
        """Inferences so far that no replica answered with success.

        Raises:
            LabError: Envoy does not answer.
        """
        told = await self._told("/stats", filter=r"ModelInfer\.failure$")
        return sum(int(each["value"]) for each in told["stats"])

    async def _told(self, path: str, **words: str) -> dict[str, Any]:
        try:
            answer = await self._admin.get(path, params={"format": "json", **words})
            told: dict[str, Any] = answer.raise_for_status().json()
        except httpx.HTTPError as error:
            raise LabError(f"envoy does not tell its state: {error!r}") from None
        return told

    async def close(self) -> None:
        """Ends it."""
        await self._admin.aclose()
        await asyncio.to_thread(self._tree.stop)


def _healthy(host: dict[str, Any]) -> bool:
    status = host["health_status"]
    flags = {key for key, value in status.items() if key.startswith("failed_") and value}
    return status.get("eds_health_status") == "HEALTHY" and not flags


def _active(host: dict[str, Any]) -> int:
    stats = {each["name"]: int(each.get("value", 0)) for each in host["stats"]}
    return stats["rq_active"]
