"""The launcher's own metrics, on loopback: how often something had to be restarted."""

from typing import Self

from prometheus_client import CollectorRegistry, Counter, start_http_server

from server.errors import StartError


class Metrics:
    """Counters in a registry of their own, served at `/metrics`."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.stub_restarts = Counter(
            "server_stub_restarts",
            "Backend processes replaced because they died or hung",
            ["model"],
            registry=self._registry,
        )
        self.restarts = Counter(
            "server_restarts", "tritonserver started again after it ended", registry=self._registry
        )

    def serve(self, port: int) -> Self:
        """Answers on 127.0.0.1 from a thread that ends with the process.

        Raises:
            StartError: the port is taken.
        """
        try:
            start_http_server(port, addr="127.0.0.1", registry=self._registry)
        except OSError as error:
            raise StartError(f"metrics: port {port}: {error}; move SERVER_METRICS_PORT") from None
        return self
