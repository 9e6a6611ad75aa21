"""The scaling rates of an autoscaler: `spec.behavior` of a HorizontalPodAutoscaler v2."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

PolicyKind = Literal["Pods", "Percent"]
Select = Literal["Max", "Min", "Disabled"]


@dataclass(frozen=True)
class Change:
    """Replicas that came (positive) or went at a moment, in seconds."""

    moment: float
    replicas: int


def _changed(changes: Sequence[Change], since: float) -> int:
    """Replicas added less those taken away after a moment."""
    return sum(change.replicas for change in changes if change.moment > since)


@dataclass(frozen=True)
class Policy:
    """So many replicas, or percent of them, within a period of seconds."""

    kind: PolicyKind
    value: int
    period: float

    def most(self, began: int) -> int:
        """Replicas to grow to, from those at the period's begin."""
        if self.kind == "Pods":
            return began + self.value
        # In floating point, as the controller does.
        return math.ceil(began * (1 + self.value / 100))

    def fewest(self, began: int) -> int:
        """Replicas to shrink to, from those at the period's begin."""
        if self.kind == "Pods":
            return began - self.value
        return math.trunc(began * (1 - self.value / 100))


@dataclass(frozen=True)
class Rules:
    """Of one direction."""

    window: float
    """Seconds over which the most cautious recommendation counts."""
    select: Select
    policies: tuple[Policy, ...]

    @classmethod
    def read(cls, given: Mapping[str, Any], default: "Rules") -> Self:
        """What the manifest says; where it is silent, Kubernetes' default."""
        window = given.get("stabilizationWindowSeconds")
        policies = [
            Policy(each["type"], int(each["value"]), float(each["periodSeconds"]))
            for each in given.get("policies", ())
        ]
        return cls(
            window=default.window if window is None else float(window),
            select=given.get("selectPolicy", default.select),
            policies=tuple(policies) or default.policies,
        )

    def faster(self, factor: float) -> "Rules":
        """All times divided."""
        policies = (Policy(each.kind, each.value, each.period / factor) for each in self.policies)
        return Rules(self.window / factor, self.select, tuple(policies))

    def highest(self, now: float, current: int, changes: Sequence[Change]) -> int:
        """The most replicas that scaling up may ask for now."""
        if self.select == "Disabled":
            return current
        limits = [
            policy.most(current - _changed(changes, now - policy.period))
            for policy in self.policies
        ]
        return max(current, max(limits) if self.select == "Max" else min(limits))

    def lowest(self, now: float, current: int, changes: Sequence[Change]) -> int:
        """The fewest replicas that scaling down may ask for now."""
        if self.select == "Disabled":
            return current
        limits = [
            policy.fewest(current - _changed(changes, now - policy.period))
            for policy in self.policies
        ]
        return min(current, min(limits) if self.select == "Max" else max(limits))


_UP = Rules(0, "Max", (Policy("Pods", 4, 15), Policy("Percent", 100, 15)))
_DOWN = Rules(300, "Max", (Policy("Percent", 100, 15),))


@dataclass(frozen=True)
class Behaviour:
    """Both directions."""

    up: Rules
    down: Rules

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Self:
        """`spec.behavior`, or KEDA's copy of it."""
        return cls(
            Rules.read(given.get("scaleUp", {}), _UP), Rules.read(given.get("scaleDown", {}), _DOWN)
        )

    def faster(self, factor: float) -> "Behaviour":
        """All times divided."""
        return Behaviour(self.up.faster(factor), self.down.faster(factor))
