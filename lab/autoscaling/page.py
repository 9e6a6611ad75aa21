"""Writes the run as a section of docs/autoscaling.md."""

from lab.autoscaling import criteria
from lab.autoscaling.record import Record, Step, median
from lab.markdown import table


def text(record: Record, picture: str) -> str:
    """Circumstances, verdict, chart, and a table of the steps; `picture` is seen from the page."""
    found = criteria.problems(record)
    verdict = "\n".join(f"- **Not shown:** {problem}." for problem in found) or (
        "All that is checked held: replicas followed and never changed direction within a step; "
        "they grew at overload past what requests in flight alone ask for; no request failed, or "
        "had to be asked again behind the gateway; and the ScaledObject and the "
        "HorizontalPodAutoscaler decided alike at every look."
    )
    return "\n\n".join(
        [_circumstances(record), verdict, f"![the run]({picture})", _steps(record), _drains(record)]
    )


def _circumstances(record: Record) -> str:
    return (
        f"`python -m lab.autoscaling` on {record.started[:10]}, {record.machine}. Times of the "
        f"behaviour and ranges of the queries divided by {record.factor}; a batch takes "
        f"{record.delay_ms} ms on a replica; at most {record.cap} requests in flight; at most "
        f"{record.maximum} replicas (shipped: {record.shipped_maximum})."
    )


def _steps(record: Record) -> str:
    head = [
        "step",
        "requests/s",
        "answered",
        "refused",
        "failed",
        "most in flight",
        "highest demand",
        "replicas",
        "median latency",
    ]
    return table(head, [_row(record, *span) for span in record.spans()]).strip()


def _row(record: Record, step: Step, begin: float, end: float) -> list[str]:
    moments, looks = record.moments_in(begin, end), record.looks_in(begin, end)
    latency = median([moment.median for moment in moments if moment.median is not None])
    seen = [look.current for look in looks]
    passed = [str(b) for a, b in zip([None, *seen], seen, strict=False) if a != b]
    return [
        step.name,
        f"{step.rate:.3g}",
        str(sum(moment.answered for moment in moments)),
        str(sum(moment.refused for moment in moments)),
        str(sum(moment.failed for moment in moments)),
        f"{max((look.in_flight or 0 for look in looks), default=0):.0f}",
        f"{max((look.demand or 0 for look in looks), default=0):.0f}",
        " → ".join(passed),
        "" if latency is None else f"{latency:.2f} s",
    ]


def _drains(record: Record) -> str:
    busy = sum(drain.in_flight > 0 for drain in record.drains)
    longest = max((drain.seconds for drain in record.drains), default=0.0)
    unknown = sum(look.wanted is None for look in record.looks)
    slowest = max(record.starts, default=0.0)
    return (
        f"{len(record.starts)} replicas were started; the slowest answered after {slowest:.1f} s. "
        f"{len(record.drains)} were drained, {busy} of them with requests in flight; the longest "
        f"took {longest:.1f} s until nothing was. {len(record.looks)} looks, {unknown} of them "
        "without a decision because a metric had no value."
    )
