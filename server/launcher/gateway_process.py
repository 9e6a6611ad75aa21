"""The gateway as a child process of the launcher."""

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from pipelines.ports import Ports
from pipelines.tls import GatewayTls
from server import parent_death
from server.errors import StartError
from server.health.gateway_health import GatewayHealth, connect
from server.triton import backend_processes
from server.triton.connection import LOOPBACK, reached_at
from server.triton.installation import ROOT

# Longer than the gateway takes by its own default (GATEWAY_SHUTDOWN_SECONDS).
_DRAIN_SECONDS = 35
# Twice what it waits itself for a pipeline that does not answer.
_READY_SECONDS = 120


class GatewayProcess:
    """`python -m gateway`, its ports from the same environment; it logs to the same stderr."""

    def __init__(self, ports: Ports, host: str, repository: Path) -> None:
        """Takes all ports, the address that the launcher's page is bound to, and the repository."""
        name = reached_at(host)
        status = f"http://{f'[{name}]' if ':' in name else name}:{ports.server_metrics_port}"
        self._environment = os.environ | {
            "GATEWAY_SERVER_READINESS_URL": f"{status}/readyz",
            "GATEWAY_MODEL_REPOSITORY": str(repository),
        }
        self._port = ports.gateway_port
        self._grpc_port = ports.gateway_grpc_port
        self._process: subprocess.Popen[bytes] | None = None
        self._health = GatewayHealth(LOOPBACK, ports.gateway_port)
        self.was_ready = False
        """Whether `/readyz` ever said 200."""

    @property
    def url(self) -> str:
        """Where it answers over HTTP."""
        return f"{'https' if GatewayTls().on else 'http'}://{LOOPBACK}:{self._port}"

    @property
    def grpc_address(self) -> str:
        """Where it answers over gRPC."""
        return f"{LOOPBACK}:{self._grpc_port}"

    def start(self) -> None:
        """Starts it; its `/readyz` says 503 until Triton answers."""
        self._health.forget()
        command = [sys.executable, "-m", "gateway"]
        self._process = parent_death.start(command, ROOT, self._environment)

    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def frozen(self) -> bool:
        """Whether the process is stopped by a signal."""
        return self._process is not None and backend_processes.is_frozen(self._process.pid)

    def hangs(self) -> bool:
        """Whether it has not answered for long and does nothing; to be asked every second."""
        return self._process is not None and self._health.hangs(self._process.pid)

    def kill(self) -> None:
        """Ends it at once; requests in flight are lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        self._health.forget()

    def wait_until_ready(self, stopping: Callable[[], bool], say: Callable[[str], None]) -> None:
        """Waits for `/readyz`. A process that a signal ends meanwhile is started again.

        Raises:
            StartError: the process ended by itself, or is not ready in time.
        """
        deadline = time.monotonic() + _READY_SECONDS
        while not stopping() and not self._ready():
            if self._process is not None and (status := self._process.poll()) is not None:
                if status >= 0:
                    raise StartError("gateway: it ended at the start; its own message is above")
                # Nothing is wrong with its settings: the system lacked memory, or somebody did it.
                say(f"gateway: {signal.Signals(-status).name} ended it at the start; starting anew")
                self.start()
            if time.monotonic() > deadline:
                raise StartError(
                    f"gateway: {self.url}/readyz is not ready after {_READY_SECONDS} s"
                )
            time.sleep(0.1)
        self.was_ready = True

    def stop(self, *, hurry: Callable[[], bool]) -> None:
        """Lets it answer the requests that it has accepted, then ends it."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + _DRAIN_SECONDS
        # One that is stopped by a signal would never see it.
        while self.alive() and time.monotonic() < deadline and not hurry() and not self.frozen():
            time.sleep(0.05)
        self.kill()
        self._health.close()

    def _ready(self) -> bool:
        connection = connect(LOOPBACK, self._port, 2)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
