"""The gateway as a child process of the launcher."""

import http.client
import signal
import subprocess
import sys
import time
from collections.abc import Callable

from pipelines.ports import Ports
from server import parent_death
from server.errors import StartError
from server.triton.connection import LOOPBACK
from server.triton.installation import ROOT

# Longer than the gateway takes by its own default (GATEWAY_SHUTDOWN_SECONDS).
_DRAIN_SECONDS = 35
_READY_SECONDS = 60


class GatewayProcess:
    """`python -m gateway`, its ports from the same environment; it logs to the same stderr."""

    def __init__(self, ports: Ports) -> None:
        self._port = ports.gateway_port
        self._grpc_port = ports.gateway_grpc_port
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it answers over HTTP."""
        return f"http://{LOOPBACK}:{self._port}"

    @property
    def grpc_address(self) -> str:
        """Where it answers over gRPC."""
        return f"{LOOPBACK}:{self._grpc_port}"

    def start(self) -> None:
        """Starts it; its `/readyz` says 503 until Triton answers."""
        self._process = subprocess.Popen(
            parent_death.ending_with_us([sys.executable, "-m", "gateway"]),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )

    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def wait_until_ready(self, stopping: Callable[[], bool]) -> None:
        """Waits for `/readyz`.

        Raises:
            StartError: the process ended, or is not ready in time.
        """
        deadline = time.monotonic() + _READY_SECONDS
        while not stopping() and not self._ready():
            if not self.alive():
                raise StartError("gateway: it ended at the start; its own message is above")
            if time.monotonic() > deadline:
                raise StartError(
                    f"gateway: {self.url}/readyz is not ready after {_READY_SECONDS} s"
                )
            time.sleep(0.1)

    def stop(self, *, hurry: Callable[[], bool]) -> None:
        """Lets it answer the requests that it has accepted, then ends it."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + _DRAIN_SECONDS
        while self.alive() and time.monotonic() < deadline and not hurry():
            time.sleep(0.05)
        self._process.kill()
        self._process.wait()
        self._process = None

    def _ready(self) -> bool:
        connection = http.client.HTTPConnection(LOOPBACK, self._port, timeout=2)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
