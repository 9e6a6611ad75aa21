"""A service of this machine's own, on free ports, for as long as it is loaded."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from loadtest.errors import LoadtestError

ROOT = Path(__file__).parents[1]
_PORTS = (
    "GATEWAY_PORT",
    "GATEWAY_GRPC_PORT",
    "TRITON_HTTP_PORT",
    "TRITON_GRPC_PORT",
    "TRITON_METRICS_PORT",
    "SERVER_METRICS_PORT",
)
_START_SECONDS, _STOP_SECONDS = 180, 90
_TAIL_LINES = 15


@dataclass(frozen=True, slots=True)
class LocalService:
    """Where it answers, and the process that all of it descends from, if it is known."""

    url: str
    grpc: str
    pid: int | None


@contextmanager
def local_service(pipeline: str, repository: Path, log: Path) -> Iterator[LocalService]:
    """Starts the launcher with its gateway, and stops it when the block ends.

    Args:
        pipeline: What it serves.
        repository: Triton's model repository.
        log: File for all that it says.

    Raises:
        LoadtestError: it does not become ready.
    """
    ports = dict(zip(_PORTS, _free_ports(len(_PORTS)), strict=True))
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="loadtest-"))
        output = stack.enter_context(log.open("wb"))
        choices = ("--pipelines", pipeline, "--repository", str(repository), "--run-dir", folder)
        process = subprocess.Popen(
            [sys.executable, "-m", "server", "--gateway", *choices],
            cwd=ROOT,
            env=os.environ | {name: str(port) for name, port in ports.items()},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # Ctrl-C ends the load first; then this process ends the service.
            start_new_session=True,
        )
        stack.callback(_stop, process)
        url = f"http://127.0.0.1:{ports['GATEWAY_PORT']}"
        _wait_until_ready(process, url, log)
        yield LocalService(url, f"127.0.0.1:{ports['GATEWAY_GRPC_PORT']}", process.pid)


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    give_up = time.monotonic() + _START_SECONDS
    while not _ready(url):
        late = time.monotonic() > give_up
        if late or process.poll() is not None:
            what = f"is not ready after {_START_SECONDS} s" if late else "ended at the start"
            tail = log.read_text("utf-8", "replace").splitlines()[-_TAIL_LINES:]
            raise LoadtestError("\n".join([f"the service {what}; the end of {log}:", *tail]))
        time.sleep(0.2)


def _ready(url: str) -> bool:
    try:
        with urlopen(f"{url}/readyz", timeout=5):  # noqa: S310 - http, to this machine
            return True
    except (URLError, OSError, HTTPException):
        return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        # Its children are tethered to it and end as well.
        process.kill()
        process.wait()
