"""Runs Prometheus: it scrapes gateway and Tritons and answers the autoscaler's queries."""

import asyncio
import contextlib
import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx
import yaml

from k8s.monitoring.prometheus import MissingPrometheusError, executable
from lab.errors import LabError
from lab.service.ports import free_ports
from lab.service.process_tree import ProcessTree
from pipelines import atomic_write


class Prometheus:
    """A running one."""

    def __init__(self, folder: Path, namespace: str, interval: float) -> None:
        """Starts it, with nothing to scrape yet.

        Args:
            folder: for what it keeps.
            namespace: label of all it scrapes, as a PodMonitor sets it.
            interval: between two scrapes, in seconds.

        Raises:
            LabError: there is no Prometheus.
        """
        self._namespace = namespace
        self._targets = folder / "targets.json"
        self.watch({})
        every = f"{round(interval * 1000)}ms"
        config = {
            "global": {"scrape_interval": every, "scrape_timeout": every},
            "scrape_configs": [
                {
                    "job_name": "simulation",
                    "file_sd_configs": [{"files": [self._targets.name], "refresh_interval": "1s"}],
                }
            ],
        }
        path = folder / "prometheus.yml"
        path.write_text(yaml.safe_dump(config), "utf-8")
        (port,) = free_ports(1)
        try:
            program = executable("prometheus")
        except MissingPrometheusError as error:
            raise LabError(str(error)) from None
        self._tree = ProcessTree(
            [
                program,
                f"--config.file={path}",
                f"--storage.tsdb.path={folder / 'series'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            environment={},
            folder=folder,
            log=folder / "prometheus.log",
        )
        self._client = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=10
        )

    def watch(self, ports: dict[str, Iterable[int]]) -> None:
        """Scrapes these ports from now on, by job."""
        found = [
            {
                "labels": {"job": f"second-opinion-{job}", "namespace": self._namespace},
                "targets": [f"127.0.0.1:{port}" for port in listed],
            }
            for job, listed in ports.items()
        ]
        atomic_write.write_text(self._targets, json.dumps(found))

    async def ready(self) -> bool:
        """Whether it answers.

        Raises:
            LabError: it ended.
        """
        if self._tree.ended:
            raise LabError(f"prometheus ended:\n{self._tree.log_tail()}")
        with contextlib.suppress(httpx.HTTPError):
            return (await self._client.get("/-/ready")).is_success
        return False

    async def value(self, query: str, moment: float) -> float | None:
        """What a scaler makes of an instant query's answer; None where KEDA would fail.

        Args:
            query: the expression.
            moment: of the answer, in seconds of the epoch.

        Raises:
            LabError: it is no PromQL.
        """
        asked = {"query": query, "time": f"{moment:.3f}"}
        try:
            answer = await self._client.get("/api/v1/query", params=asked)
        except httpx.HTTPError:
            return None
        if not answer.is_success:
            raise LabError(f"prometheus refuses a query: {answer.text}\n{query}")
        return single(answer.json()["data"])

    async def close(self) -> None:
        """Ends it."""
        await self._client.aclose()
        await asyncio.to_thread(self._tree.stop)


def single(data: dict[str, Any]) -> float | None:
    """The one finite number of an answer.

    With `ignoreNullValues: "false"` KEDA fails where there is none, or more than one, or infinity.
    """
    result = data["result"]
    if data["resultType"] == "vector":
        if len(result) != 1:
            return None
        result = result[0]["value"]
    number = float(result[1])
    return number if math.isfinite(number) else None
