"""One metric of an autoscaler, and the replicas that its value asks for."""

import math
from dataclasses import dataclass
from typing import Literal

TOLERANCE = 0.1
"""The controller's `--horizontal-pod-autoscaler-tolerance`."""


@dataclass(frozen=True)
class Metric:
    """An external metric; target in thousandths, as Kubernetes counts."""

    name: str
    query: str
    kind: Literal["AverageValue", "Value"]
    target: int

    def proposal(self, value: float, current: int, ready: int) -> int:
        """Replicas for a value, before all limits.

        As `GetExternalPerPodMetricReplicas` and `GetExternalMetricReplicas` of Kubernetes'
        replica_calculator.go: a Value scales what is ready, an AverageValue what is there.

        Args:
            value: what the query answered; finite.
            current: replicas there, ready or not.
            ready: those that answer.
        """
        measured = math.floor(value * 1000)
        if self.kind == "AverageValue":
            if current and abs(1 - measured / (self.target * current)) <= TOLERANCE:
                return current
            return math.ceil(measured / self.target)
        ratio = measured / self.target
        if not current:
            return math.ceil(ratio)
        if abs(1 - ratio) <= TOLERANCE:
            return current
        return math.ceil(ratio * ready)
