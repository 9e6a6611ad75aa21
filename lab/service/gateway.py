"""The gateway alone on free ports, in front of Tritons that may be there or not."""

import sys
from collections.abc import Mapping
from pathlib import Path

from lab.service.gateway_before_several import ADDRESSES
from lab.service.ports import free_service_ports
from lab.service.program import PATIENCE, Program, answers


class Gateway(Program):
    """`python -m gateway`; ready when it listens."""

    def __init__(
        self, *triton_grpc: int, log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        """Says how it is to run.

        Args:
            triton_grpc: the port of whatever leads to Triton's gRPC; of several Tritons each one's.
            log: takes what it prints.
            environment: its settings.
        """
        ports = free_service_ports().model_copy(update={"triton_grpc_port": triton_grpc[0]})
        variables = {**PATIENCE, **(environment or {})}
        module = "gateway"
        if len(triton_grpc) > 1:
            module = "lab.service.gateway_before_several"
            variables[ADDRESSES] = ",".join(f"127.0.0.1:{port}" for port in triton_grpc)
        super().__init__([sys.executable, "-m", module], ports, log, variables)

    def ready(self) -> bool:
        """Whether it listens, with or without Triton."""
        return answers(f"{self.url}/healthz")
