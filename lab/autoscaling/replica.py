"""One replica of Triton: the launcher with its tritonserver, on ports of its own."""

import contextlib
import sys
from pathlib import Path

import httpx

from lab.autoscaling.pipeline import PIPELINE
from lab.bench.contender import free_ports
from lab.bench.environment import ROOT
from lab.bench.scratch import Scratch
from lab.bench.tree import Tree
from pipelines.ports import Ports

_ANSWER_SECONDS = 2.0


class Replica:
    """Starts at once; stops when it is told to."""

    def __init__(self, number: int, place: Scratch, folder: Path) -> None:
        """Starts `python -m server`.

        Args:
            number: of all that ever were.
            place: what it serves.
            folder: an empty one for what it writes; short, as sockets are in there.
        """
        self.number = number
        self.ready = False
        self.draining = False
        names = Ports.model_fields
        self.ports = dict(zip(names, free_ports(len(names)), strict=True))
        served = ["--repository", str(place.repository), "--specs", str(place.specs)]
        own = ["--run-dir", str(folder / f"replica-{number}")]
        self._tree = Tree(
            [sys.executable, "-m", "server", "--pipelines", PIPELINE, *served, *own],
            environment={name.upper(): str(port) for name, port in self.ports.items()},
            folder=ROOT,
            log=folder / f"replica-{number}.log",
        )

    @property
    def port(self) -> int:
        """Of Triton's gRPC."""
        return self.ports["triton_grpc_port"]

    @property
    def ended(self) -> bool:
        """Whether it is gone, or never came."""
        return self._tree.ended

    def last_words(self) -> str:
        """The end of its log."""
        return self._tree.last_words()

    async def answers(self, client: httpx.AsyncClient) -> bool:
        """Whether it is ready, as its pod's readiness probe asks."""
        url = f"http://127.0.0.1:{self.ports['server_metrics_port']}/readyz"
        with contextlib.suppress(httpx.HTTPError):
            return (await client.get(url, timeout=_ANSWER_SECONDS)).is_success
        return False

    def stop(self) -> None:
        """Ends it as Kubernetes does: SIGTERM, and some time; blocks until it is gone."""
        self._tree.stop()
