"""The shipped autoscaler with all its times divided by one number, so that a run is short."""

import re
from dataclasses import replace

from k8s.monitoring.rule_files import shorter
from lab.autoscaling.autoscaler import Scaling

_RANGE = re.compile(r"(?<=\[)\d+(?:ms|s|m|h)(?=\])")


def compressed(scaling: Scaling, factor: int, most: int) -> Scaling:
    """Windows and periods of the behaviour, and ranges in queries, divided; nothing else.

    Args:
        scaling: as it ships.
        factor: divides.
        most: replicas that there is room for.
    """
    return replace(
        scaling,
        maximum=min(scaling.maximum, most),
        behaviour=scaling.behaviour.faster(factor),
        metrics=tuple(
            replace(metric, query=_RANGE.sub(lambda m: shorter(m[0], factor), metric.query))
            for metric in scaling.metrics
        ),
    )
