"""One replica of Triton: the launcher with its tritonserver, on ports of its own."""

import contextlib
import shutil
from pathlib import Path

import httpx

from lab.autoscaling.pipeline import PIPELINE
from lab.service.scratch import Scratch
from lab.service.service import Service

_ANSWER_SECONDS = 2.0


class Replica:
    """Starts at once; stops when it is told to."""

    def __init__(self, number: int, place: Scratch, folder: Path) -> None:
        """Starts `python -m server`.

        Args:
            number: of all that ever were.
            place: what it serves a copy of.
            folder: for its log and that copy.
        """
        self.number = number
        self.ready = False
        self.draining = False
        # As in a pod, the model store is its own: Triton's Python leaves compiled files beside the
        # member that waits, which the release does not name, so that the next start is refused.
        own = Scratch(folder / f"replica-{number}")
        shutil.copytree(place.folder, own.folder)
        self._service = Service(
            [PIPELINE],
            own.repository,
            log=folder / f"replica-{number}.log",
            specs=own.specs,
            gateway=False,
        )
        self._service.start()

    @property
    def port(self) -> int:
        """Of Triton's gRPC."""
        return self._service.ports.triton_grpc_port

    @property
    def metrics_port(self) -> int:
        """Of Triton's metrics."""
        return self._service.ports.triton_metrics_port

    @property
    def ended(self) -> bool:
        """Whether it is gone, or never came."""
        return self._service.tree.ended

    def log_tail(self) -> str:
        """The end of its log."""
        return self._service.tree.log_tail()

    async def answers(self, client: httpx.AsyncClient) -> bool:
        """Whether it is ready, as its pod's readiness probe asks."""
        with contextlib.suppress(httpx.HTTPError):
            return (await client.get(self._service.readiness, timeout=_ANSWER_SECONDS)).is_success
        return False

    def stop(self) -> None:
        """Ends it as Kubernetes does: SIGTERM, and some time; blocks until it is gone."""
        self._service.stop()
