"""Reads the metrics and probe answers of a running gateway, launcher and Triton."""

from dataclasses import dataclass

import httpx

from k8s.checks.errors import ChecksError
from k8s.checks.tree import PROJECT
from pipelines.ports import Ports

PORTS = {
    ("gateway", "http"): "gateway_port",
    ("triton", "metrics"): "triton_metrics_port",
    ("triton", "server-metrics"): "server_metrics_port",
}
"""What answers over HTTP, by owner and name of the port."""
_SECONDS = 20
_REMEDY = "run `make k8s-check`, which starts the service that is asked"


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
            raise ChecksError(f"{url}: {error}: {_REMEDY}") from None

    def predict(self) -> None:
        """Has the gateway answer a photo, after which every series has a value.

        Raises:
            ChecksError: it does not.
        """
        url = f"http://127.0.0.1:{self.ports['gateway_port']}/api/v1/predict"
        photo = (PROJECT / "samples" / "cancer.jpg").read_bytes()
        try:
            answer = httpx.post(url, files={"file": photo}, timeout=_SECONDS, trust_env=False)
        except httpx.HTTPError as error:
            raise ChecksError(f"{url}: {error}: {_REMEDY}") from None
        if answer.status_code != httpx.codes.OK:
            raise ChecksError(f"{url}: a photo was answered with {answer.status_code}: {_REMEDY}")


def here() -> Running:
    """The service of this machine, at the ports that the environment says, after one photo.

    Raises:
        ChecksError: it does not answer.
    """
    service = Running(Ports().model_dump())
    service.predict()
    return service


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
