"""The decisions of the HorizontalPodAutoscaler controller, computed from given metric values.

After Kubernetes' pkg/controller/podautoscaler/horizontal.go (1.32).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from lab.autoscaling.behaviour import Behaviour, Change
from lab.autoscaling.durations import shorter
from lab.autoscaling.metric import Metric

_RANGE = re.compile(r"(?<=\[)\d+(?:ms|s|m|h)(?=\])")


@dataclass(frozen=True)
class Scaling:
    """What a ScaledObject or a HorizontalPodAutoscaler says."""

    name: str
    minimum: int
    maximum: int
    metrics: tuple[Metric, ...]
    behaviour: Behaviour

    def compressed(self, factor: int, most: int) -> Self:
        """With windows and periods of the behaviour, and ranges in queries, divided by a factor.

        Its minimum is one replica, so that a small machine shows the way from one to several.

        Args:
            factor: divides all times, so that a run is short.
            most: replicas that there is room for.
        """
        return replace(
            self,
            minimum=1,
            maximum=min(self.maximum, most),
            behaviour=self.behaviour.faster(factor),
            metrics=tuple(
                replace(metric, query=_RANGE.sub(lambda m: shorter(m[0], factor), metric.query))
                for metric in self.metrics
            ),
        )


@dataclass(frozen=True)
class Decision:
    """Of one look."""

    wanted: int | None
    """What the metrics ask for, before all limits; None where too little of them is known."""
    replicas: int


@dataclass
class Autoscaler:
    """Decides at each look, and remembers what it recommended and what it changed."""

    scaling: Scaling
    _recommended: list[Change] = field(default_factory=list)
    _changes: list[Change] = field(default_factory=list)

    def decide(
        self, now: float, current: int, ready: int, values: Mapping[str, float | None]
    ) -> Decision:
        """The replicas there should be now.

        Args:
            now: seconds of a clock that only goes on.
            current: replicas there, ready or not.
            ready: those that answer.
            values: of each metric by its name; None where it could not be had.
        """
        scaling = self.scaling
        wanted = self._wanted(current, ready, values)
        if not self._recommended:
            # As a controller that has just started: what is there was meant so.
            self._recommended.append(Change(now, current))
        if not scaling.minimum <= current <= scaling.maximum:
            replicas = min(max(current, scaling.minimum), scaling.maximum)
        elif wanted is None:
            replicas = current
        else:
            replicas = self._limited(now, current, self._stable(now, current, wanted))
        if replicas != current:
            self._changes.append(Change(now, replicas - current))
        return Decision(wanted, replicas)

    def _wanted(self, current: int, ready: int, values: Mapping[str, float | None]) -> int | None:
        """The most that any metric asks for; one that fails may not let the others scale down."""
        proposals = [
            metric.proposal(value, current, ready)
            for metric in self.scaling.metrics
            if (value := values[metric.name]) is not None
        ]
        failed = len(proposals) < len(self.scaling.metrics)
        if not proposals or (failed and max(proposals) < current):
            return None
        return max(proposals)

    def _stable(self, now: float, current: int, wanted: int) -> int:
        """The least of the recent recommendations going up, the most going down."""
        rules = self.scaling.behaviour
        recent = self._recommended
        up = min([wanted, *(r.replicas for r in recent if r.moment > now - rules.up.window)])
        down = max([wanted, *(r.replicas for r in recent if r.moment > now - rules.down.window)])
        longest = max(rules.up.window, rules.down.window)
        kept = [each for each in recent if each.moment > now - longest]
        self._recommended = [*kept, Change(now, wanted)]
        return min(max(current, up), down)

    def _limited(self, now: float, current: int, wanted: int) -> int:
        """Within minimum and maximum, and no faster than the policies allow."""
        scaling, rules = self.scaling, self.scaling.behaviour
        if wanted > current:
            return min(wanted, scaling.maximum, rules.up.highest(now, current, self._changes))
        if wanted < current:
            return max(wanted, scaling.minimum, rules.down.lowest(now, current, self._changes))
        return current
