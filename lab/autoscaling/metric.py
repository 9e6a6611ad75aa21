"""One metric of an autoscaler, and the replicas that its value calls for."""

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

TOLERANCE = 0.1
"""The controller's `--horizontal-pod-autoscaler-tolerance`."""
_FORM = re.compile(r"([+-]?\d+(?:\.\d*)?|[+-]?\.\d+)(?:([eE][+-]?\d+)|([a-zA-Z]{1,2}))?")
_SUFFIXES = {
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 1000),
    **{suffix: Fraction(1000**power) for power, suffix in enumerate(["k", "M", "G", "T"], 1)},
    **{suffix: Fraction(1024**power) for power, suffix in enumerate(["Ki", "Mi", "Gi", "Ti"], 1)},
}


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


def thousandths(text: str) -> int:
    """A quantity in thousandths, rounded up as Kubernetes does.

    https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/

    Raises:
        ValueError: it is no quantity.
    """
    match = _FORM.fullmatch(text)
    if match is None or (match[3] and match[3] not in _SUFFIXES):
        raise ValueError(f"{text!r}: no quantity such as 16, 500m or 1.5k")
    number = Fraction(match[1] + (match[2] or ""))
    return math.ceil(number * _SUFFIXES.get(match[3], Fraction(1)) * 1000)
