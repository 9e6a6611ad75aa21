"""A gateway alone, with settings of its own, before a Triton that may be there or not."""

import contextlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import httpx

from tests.integration.service import NAMES, ROOT, environment, free_ports


class Client(httpx.Client):
    """Asks over HTTP; knows the gateway's process and where it answers over gRPC."""

    process: subprocess.Popen[bytes]
    door: str


@contextlib.contextmanager
def gateway(triton_grpc: int, **settings: str) -> Iterator[Client]:
    """Starts `python -m gateway` on free ports, and stops it with SIGTERM at the end."""
    port, door, *others = free_ports(len(NAMES) - 1)
    process = subprocess.Popen(
        [sys.executable, "-m", "gateway"],
        cwd=ROOT,
        env=environment([port, door, others[0], triton_grpc, *others[1:]], **settings),
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
    )
    drain = threading.Thread(target=process.stderr.read)
    drain.start()
    try:
        with Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            client.process, client.door = process, f"127.0.0.1:{door}"
            give_up = time.monotonic() + 30
            while True:
                with contextlib.suppress(httpx.HTTPError):
                    if client.get("/healthz").status_code == 200:
                        break
                assert process.poll() is None, "the gateway ended"
                assert time.monotonic() < give_up, "the gateway did not start"
                time.sleep(0.1)
            yield client
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        drain.join(10)
        process.stderr.close()
