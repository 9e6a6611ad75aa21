"""Divides the time of one request into named parts, from its spans and Triton's statistics."""

from collections.abc import Sequence
from dataclasses import dataclass

from lab.trace.collector import Span

CALLER = "caller to gateway and back: sockets, headers"
RECEIVE = "receive: the body"
BEFORE = "gateway, before it asks: who, limits, checks"
HOP = "gateway to Triton and back: batching, gRPC, sockets"
QUEUE = "Triton: its queues"
TRITON = "Triton: scheduler, Python backend's hand-over"
BACKEND = "decision step: between and after the parts"
COMMIT = "commit: the audit log's row on disk"
REST = "gateway, the rest: log line, metrics, its framework"
RENDER = "render: the answer's JSON"
_DECISION = "decision"


@dataclass(frozen=True)
class TritonTimes:
    """What Triton counted of one request, in seconds."""

    whole: float
    """From its arrival to its answer."""
    queued: float
    """In the queues of all steps."""


def parts(spans: Sequence[Span], triton: TritonTimes, total: float) -> dict[str, float]:
    """Seconds of each part, in the order of the way; their sum is `total`.

    Args:
        spans: of one request.
        triton: of the same one.
        total: seconds from sending the request to its answer, as its caller sees it.

    Raises:
        ValueError: it has not the spans of one answered image.
    """
    by_name = {span.name: span for span in spans}
    infer = by_name.get("infer")
    missing = {"receive", "infer", "commit", "render"} - set(by_name)
    if infer is None or missing:
        raise ValueError(f"the request has no spans {', '.join(sorted(missing))}")
    ids = {span.id for span in spans}
    (request,) = [span for span in spans if span.parent not in ids]
    below = sorted((span for span in spans if span.parent == infer.id), key=lambda span: span.begin)
    decision = [span for span in below if span.name == _DECISION]
    computing = [span for span in below if span.name != _DECISION]
    if not decision or not computing:
        raise ValueError("the answer does not say what its parts took")
    backend = max(span.end for span in below) - min(span.begin for span in below)
    computed = {span.name: _seconds(span) for span in computing}
    stages = {name: _seconds(by_name[name]) for name in ("receive", "commit", "render")}
    before = max(infer.begin - by_name["receive"].end, 0.0)
    known = {
        CALLER: total - _seconds(request),
        RECEIVE: stages["receive"],
        BEFORE: before,
        HOP: _seconds(infer) - triton.whole,
        QUEUE: triton.queued,
        TRITON: triton.whole - triton.queued - backend,
        **computed,
        BACKEND: backend - sum(computed.values()),
        COMMIT: stages["commit"],
        RENDER: stages["render"],
    }
    return {**known, REST: total - sum(known.values())}


def _seconds(span: Span) -> float:
    return span.end - span.begin
