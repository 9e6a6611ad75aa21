"""The tritonserver process: its flags, start, state and end."""

import secrets
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import tritonclient.grpc as triton

from pipelines.certificates import MutualTls, TlsError
from pipelines.ports import Ports
from pipelines.tls import TritonTls
from server import parent_death
from server.errors import StartError
from server.triton import backend_processes, leftovers
from server.triton.backend_processes import BackendProcess
from server.triton.connection import LOOPBACK, Connection, reached_at
from server.triton.installation import Installation
from server.triton.log import TritonLog

EXIT_TIMEOUT_SECONDS = 5
_START_TIMEOUT_SECONDS = 60
_FAREWELL_SECONDS = 1
# Boost's lock in shared memory fails now and then on a starved machine.
_TRANSIENT = "boost::interprocess::lock_exception"
_SHUT = "shared-memory,trace,logging"


CONNECTION_AGE_SECONDS = 10
"""A client of a name with several addresses looks the name up again when a connection ends. So it
finds Tritons that were started since, and leaves those that are about to stop."""


@dataclass(frozen=True)
class TritonFiles:
    """What one Triton reads and writes."""

    repository: Path
    backends: Path
    log: Path
    staged: Path
    """A second repository: of the models of releases that are loaded beside others."""


class TritonProcess:
    """The server process and its backend processes."""

    def __init__(
        self,
        installation: Installation,
        files: TritonFiles,
        ports: Ports,
        say: Callable[[str], None],
        *,
        host: str = LOOPBACK,
        tls: TritonTls | None = None,
    ) -> None:
        """Takes the settings; `start` starts it.

        Args:
            installation: of Triton.
            files: what it reads and writes.
            ports: to listen on.
            say: told what is worth a line.
            host: address that gRPC and metrics are bound to; HTTP is bound to loopback.
            tls: of gRPC.
        """
        self._host, self._tls = host, tls or TritonTls()
        self._installation = installation
        self._files = files
        self._ports = ports
        self._say = say
        self.shown: MutualTls | None = None
        """What the running server has read of its TLS files; None: it encrypts nothing."""
        self.connection = Connection.to(host, ports.triton_grpc_port, self._tls)
        self.metrics_address = (reached_at(host), ports.triton_metrics_port)
        self.prefix = leftovers.region_prefix(ports.triton_grpc_port)
        self._process: subprocess.Popen[bytes] | None = None
        self.log = TritonLog(files.log)

    @property
    def pid(self) -> int | None:
        """Of the running server."""
        return self._process.pid if self._process else None

    def measures(self, backend: str) -> bool:
        """Whether models of a backend answer what their passes spend."""
        return self._installation.measures(backend)

    def alive(self) -> bool:
        """Whether the server process runs."""
        return self._process is not None and self._process.poll() is None

    def start(self, stopping: Callable[[], bool]) -> None:
        """Starts the server and waits until it is live; no model is loaded yet.

        Raises:
            StartError: it ended or did not come up; the message has the end of its log. Or its TLS
                files cannot be used.
        """
        try:
            self.shown = MutualTls.load(self._tls)
        except TlsError as error:
            raise StartError(str(error)) from None
        if cleared := leftovers.clear(self.prefix):
            self._say(f"triton: {cleared}")
        self.log.begin()
        try:
            # Appending: it is cut to nothing while it is open.
            log = self.log.path.open("ab")
        except OSError as error:
            raise StartError(
                f"{self.log.path}: {error.strerror}: free some disk or change --run-dir"
            ) from None
        with log:
            self._process = parent_death.start(
                self._command(), environment=self._installation.environment(), output=log
            )
        deadline = time.monotonic() + _START_TIMEOUT_SECONDS
        with self.connection.client() as client:
            while not stopping():
                if not self.alive():
                    raise StartError(
                        f"triton ended with code {self._process.returncode}{self.log.tail()}"
                    )
                if _live(client):
                    return
                if time.monotonic() > deadline:
                    raise StartError(
                        f"triton is not live after {_START_TIMEOUT_SECONDS} s{self.log.tail()}"
                    )
                time.sleep(0.1)

    def failed_transiently(self) -> bool:
        """Whether the log of the last start has the one failure that is worth another start."""
        return _TRANSIENT in self.log.since_start()

    def stop(self, *, hurry: Callable[[], bool] = lambda: False) -> None:
        """Lets requests in flight finish, then ends the server and removes its leftovers."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            deadline = time.monotonic() + EXIT_TIMEOUT_SECONDS + 3
            while self.alive() and time.monotonic() < deadline and not hurry():
                # A model whose process was once replaced is never done unloading. But without
                # backend processes there is nothing in flight, and nothing to wait for.
                if not self.backend_processes():
                    deadline = min(deadline, time.monotonic() + _FAREWELL_SECONDS)
                time.sleep(0.05)
            self.kill()
        leftovers.clear(self.prefix)

    def kill(self) -> None:
        """Ends the server at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def backend_processes(self) -> dict[int, BackendProcess]:
        """The live backend processes by process id."""
        return backend_processes.living(self._process.pid) if self._process else {}

    def dead_processes(self) -> set[int]:
        """Process ids of backend processes that ended, or were ended."""
        return backend_processes.dead(self._process.pid) if self._process else set()

    def frozen(self) -> bool:
        """Whether the server process is stopped by a signal."""
        return self._process is not None and backend_processes.is_frozen(self._process.pid)

    def _command(self) -> list[str]:
        ports = self._ports
        return [
            str(self._installation.binary),
            f"--model-repository={self._files.repository}",
            f"--model-repository={self._files.staged}",
            f"--backend-directory={self._files.backends}",
            "--model-control-mode=explicit",
            "--disable-auto-complete-config",
            "--strict-readiness=false",
            f"--exit-timeout-secs={EXIT_TIMEOUT_SECONDS}",
            f"--http-address={LOOPBACK}",
            f"--http-port={ports.triton_http_port}",
            f"--grpc-address={self._host}",
            f"--grpc-port={ports.triton_grpc_port}",
            f"--grpc-max-connection-age={CONNECTION_AGE_SECONDS * 1000}",
            # With a key that nobody has, so that nobody can use these.
            f"--grpc-restricted-protocol={_SHUT}:key={secrets.token_hex()}",
            *self._encryption(),
            f"--metrics-address={self._host}",
            f"--metrics-port={ports.triton_metrics_port}",
            "--metrics-config=summary_latencies=true",
            f"--backend-config=python,shm-region-prefix-name={self.prefix}",
        ]

    def _encryption(self) -> list[str]:
        authority, certificate, key = self._tls.files
        if authority is None:
            return []
        return [
            "--grpc-use-ssl-mutual=true",
            f"--grpc-root-cert={authority}",
            f"--grpc-server-cert={certificate}",
            f"--grpc-server-key={key}",
        ]


def _live(client: triton.InferenceServerClient) -> bool:
    try:
        return bool(client.is_server_live(client_timeout=1))
    except triton.InferenceServerException:
        return False
