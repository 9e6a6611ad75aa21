"""What the real gateway, launcher and Triton count, and whether their probes answer."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from k8s.checks.errors import ChecksError
from k8s.checks.tree import PROJECT
from lab.bench.errors import BenchError
from lab.bench.own_service import OwnService
from pipelines.protocol import DEFAULT_PIPELINE

PORTS = {
    ("gateway", "http"): "gateway_port",
    ("triton", "metrics"): "triton_metrics_port",
    ("triton", "server-metrics"): "server_metrics_port",
}
"""What answers over HTTP, by owner and name of the port."""
_SECONDS = 20


@dataclass(frozen=True)
class Running:
    """A service on this machine."""

    ports: dict[str, int]

    def metrics(self) -> set[str]:
        """Names of all series, a histogram's three and a summary's among them.

        Raises:
            ChecksError: a scrape fails.
        """
        return {
            name for owner, port in PORTS for name in series(self.ask(owner, port, "/metrics").text)
        }

    def ask(self, owner: str, port: str, path: str) -> httpx.Response:
        """What one of `PORTS` answers.

        Raises:
            ChecksError: nothing.
        """
        url = f"http://127.0.0.1:{self.ports[PORTS[owner, port]]}{path}"
        try:
            return httpx.get(url, timeout=_SECONDS, trust_env=False)
        except httpx.HTTPError as error:
            raise ChecksError(f"{url}: {error}") from None


@contextmanager
def running() -> Iterator[Running]:
    """Starts the service on free ports, has it answer one photo, and stops it.

    Raises:
        ChecksError: it does not start or answer.
    """
    with tempfile.TemporaryDirectory(prefix="k8s-checks-") as folder:
        log = Path(folder) / "service.log"
        try:
            with OwnService([DEFAULT_PIPELINE], PROJECT / "model_repository", log=log) as service:
                _predict(service.url)
                yield Running(service.ports)
        except BenchError as error:
            raise ChecksError(
                f"{error}\nIf {DEFAULT_PIPELINE} has no weights yet, run `make demo`"
            ) from None


def _predict(url: str) -> None:
    photo = (PROJECT / "samples" / "cancer.jpg").read_bytes()
    answer = httpx.post(
        f"{url}/api/v1/predict", files={"file": photo}, timeout=_SECONDS, trust_env=False
    )
    if answer.status_code != httpx.codes.OK:
        raise ChecksError(f"{url}: a photo was answered with {answer.status_code}")


def series(exposition: str) -> set[str]:
    """Names of a scrape's series, also of those that have no value yet."""
    names = set()
    for line in exposition.splitlines():
        if line.startswith("# TYPE "):
            name, kind = line.split()[2:4]
            names.add(name)
            if kind in {"histogram", "summary"}:
                names |= {f"{name}_sum", f"{name}_count"}
            if kind == "histogram":
                names.add(f"{name}_bucket")
    return names
