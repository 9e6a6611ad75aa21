"""The gateway alone on free ports, in front of a Triton that may be there or not."""

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import httpx

from lab.errors import LabError
from lab.paths import ROOT
from lab.service.ports import free_service_ports, port_variables
from lab.service.process_tree import ProcessTree

_START_SECONDS = 30.0
_PAUSE_SECONDS = 0.1


class Gateway:
    """Starts when its context is entered, or by `start`; ends with its context, or by `stop`."""

    def __init__(
        self, triton_grpc: int, *, log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        """Says how it is to run.

        Args:
            triton_grpc: the port of whatever leads to Triton's gRPC.
            log: takes what it prints.
            environment: its settings.
        """
        self.ports = free_service_ports().model_copy(update={"triton_grpc_port": triton_grpc})
        self._environment = port_variables(self.ports) | dict(environment or {})
        self._log = log

    @property
    def url(self) -> str:
        """Where it answers over HTTP."""
        return f"http://127.0.0.1:{self.ports.gateway_port}"

    @property
    def tree(self) -> ProcessTree:
        """Its processes; only after `start`."""
        return self._tree

    def __enter__(self) -> Self:
        """Starts it and waits until it listens, whether Triton is there or not.

        Raises:
            LabError: it ends, or does not listen in time.
        """
        self.start()
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Starts the process, and waits for nothing."""
        self._tree = ProcessTree(
            [sys.executable, "-m", "gateway"],
            environment=self._environment,
            folder=ROOT,
            log=self._log,
        )

    def stop(self) -> None:
        """Ends it with SIGTERM, and what is left of it with SIGKILL."""
        self._tree.stop()

    def _wait(self) -> None:
        until = time.monotonic() + _START_SECONDS
        while not self._listens():
            if self._tree.ended or time.monotonic() > until:
                raise LabError(f"the gateway does not start:\n{self._tree.log_tail()}")
            time.sleep(_PAUSE_SECONDS)

    def _listens(self) -> bool:
        try:
            return httpx.get(f"{self.url}/healthz", timeout=5, trust_env=False).is_success
        except httpx.HTTPError:
            return False
