"""The launcher's own metrics: how often something had to be restarted."""

from prometheus_client import CollectorRegistry, Counter


class Metrics:
    """Counters in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.stub_restarts = Counter(
            "server_stub_restarts",
            "Backend processes replaced because they died or hung",
            ["model"],
            registry=self.registry,
        )
        self.restarts = Counter(
            "server_restarts", "tritonserver started again after it ended", registry=self.registry
        )
