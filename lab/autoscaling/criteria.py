"""The pass criteria of a run, which decide the exit status."""

import itertools
import math
from collections.abc import Iterator

from lab.autoscaling.record import Record


def problems(record: Record) -> list[str]:
    """What it does not show; empty where it shows all."""
    judged = (_follow, _never_flap, _grow_past_the_cap, _no_failure, _same_by_both)
    return [problem for judge in judged for problem in judge(record)]


def _follow(record: Record) -> Iterator[str]:
    for step, begin, end in record.spans():
        looks = record.looks_in(begin, end)
        last = looks[-1].current if looks else None
        if last != step.replicas:
            yield f"{step.name}: {last} replicas at its end, not {step.replicas}"


def _never_flap(record: Record) -> Iterator[str]:
    for step, begin, end in record.spans():
        looks = record.looks_in(begin, end)
        moves = [b.current - a.current for a, b in itertools.pairwise(looks)]
        directions = {move > 0 for move in moves if move}
        if len(directions) > 1:
            yield f"{step.name}: replicas went up and down under a steady load"


def _grow_past_the_cap(record: Record) -> Iterator[str]:
    overloads = [span for span in record.spans() if span[0].replicas == record.maximum]
    if not overloads:
        yield "no step asks for the most replicas: nothing is known of overload"
    for step, begin, end in overloads:
        moments, looks = record.moments_in(begin, end), record.looks_in(begin, end)
        if not any(moment.refused for moment in moments):
            yield f"{step.name}: nothing was refused: it was no overload"
        if max((look.in_flight or 0 for look in looks), default=0) > record.cap:
            yield f"{step.name}: more than {record.cap} requests were in flight"
        stalled = math.ceil(record.cap / record.target)
        most = max((look.current for look in looks), default=0)
        if most <= stalled:
            yield f"{step.name}: {most} replicas, no more than requests in flight alone ask for"


def _no_failure(record: Record) -> Iterator[str]:
    if failed := sum(moment.failed for moment in record.moments):
        said = ", ".join(f"{count} times {fault}" for fault, count in record.faults.items())
        yield f"{failed} requests failed: {said}"
    if record.repeated:
        yield f"{record.repeated} inferences failed behind the gateway, which had to ask again"
    if not any(drain.in_flight for drain in record.drains):
        yield "no replica had requests in flight when it was drained: nothing is known of drains"


def _same_by_both(record: Record) -> Iterator[str]:
    other = [look for look in record.looks if look.replicas != look.by_hpa]
    if other:
        first = other[0]
        yield (
            f"at {first.second:.0f} s the ScaledObject asks for {first.replicas} replicas and the "
            f"HorizontalPodAutoscaler for {first.by_hpa}"
        )
