"""Starts a program of the project that serves HTTP, waits until it is ready, and stops it."""

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import httpx

from lab.errors import LabError
from lab.paths import ROOT
from lab.service.ports import port_variables
from lab.service.process_tree import ProcessTree
from pipelines.ports import Ports

_PAUSE_SECONDS = 0.2
_WITHIN = "GATEWAY_RESPOND_WITHIN_MS"
PATIENCE = {_WITHIN: os.environ.get(_WITHIN, "30000")}
"""In a closed loop each caller waits for its answer, however many others do."""


class Program(ABC):
    """Starts when its context is entered, or by `start`; ends with its context, or by `stop`."""

    def __init__(
        self, argv: Sequence[str], ports: Ports, log: Path, environment: Mapping[str, str] | None
    ) -> None:
        """Says how it runs: its command, its ports, the file for what it prints, its settings."""
        self.argv, self.ports, self.log = tuple(argv), ports, log
        self.environment = port_variables(ports) | dict(environment or {})

    @property
    def url(self) -> str:
        """The gateway's, over HTTP, or HTTPS where it has a certificate."""
        scheme = "https" if self.environment.get("GATEWAY_TLS_CERTIFICATE_FILE") else "http"
        return f"{scheme}://127.0.0.1:{self.ports.gateway_port}"

    @property
    def tree(self) -> ProcessTree:
        """All its processes; only after `start`."""
        return self._tree

    def __enter__(self) -> Self:
        """Starts it and waits until it is ready.

        Raises:
            LabError: it ends, or does not get ready.
        """
        started = time.monotonic()
        self.start()
        try:
            self.wait_ready()
        except BaseException:
            self.stop()
            raise
        self.start_seconds = time.monotonic() - started
        """From the start of the process until it was ready."""
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Starts the process, and waits for nothing."""
        self._tree = ProcessTree(self.argv, environment=self.environment, folder=ROOT, log=self.log)

    def stop(self) -> None:
        """Ends it with SIGTERM, and what is left of it with SIGKILL."""
        self._tree.stop()

    @abstractmethod
    def ready(self) -> bool:
        """Whether it is ready now."""

    def wait_ready(self, seconds: float = 240.0) -> None:
        """Waits until it is ready.

        Raises:
            LabError: it ends, or does not get ready in time.
        """
        until = time.monotonic() + seconds
        while not self.ready():
            if self._tree.ended or time.monotonic() > until:
                what = " ".join(self.argv[1:3])
                raise LabError(
                    f"python {what} does not get ready; its log:\n{self._tree.log_tail()}"
                )
            time.sleep(_PAUSE_SECONDS)


def answers(url: str) -> bool:
    """Whether a URL of this machine answers with success, whatever certificate it shows."""
    try:
        return httpx.get(url, timeout=10, trust_env=False, verify=False).is_success  # noqa: S501
    except httpx.HTTPError:
        return False
