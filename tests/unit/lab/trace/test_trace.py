"""The parts of one request's time: from its spans, from Triton's counters, from the processes."""

import os
import time
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from lab.errors import LabError
from lab.trace import breakdown
from lab.trace.breakdown import TritonTimes, parts
from lab.trace.collector import Collector, Span, by_trace
from lab.trace.processes import ProcessCounter
from lab.trace.statistics import TritonStatistics

AT = 1_700_000_000.0


def span(name, begin, end, parent):
    """From and to so many milliseconds after the request's headers; its id is its name."""
    return Span(name, name, parent, "t", AT + begin / 1000, AT + end / 1000)


REQUEST = [
    span("predict", 0, 10, parent="caller"),
    span("receive", 0.5, 1, parent="predict"),
    span("infer", 1.5, 8, parent="predict"),
    span("decode", 2.5, 4.5, parent="infer"),
    span("vit", 4.5, 7, parent="infer"),
    span("decision", 2.5, 7.5, parent="infer"),
    span("commit", 8.5, 9, parent="predict"),
    span("render", 9, 9.25, parent="predict"),
]


def rounded(found):
    return {name: round(1000 * seconds, 3) for name, seconds in found.items()}


def test_the_parts_of_a_request_add_up_to_what_its_caller_waited():
    found = parts(REQUEST, TritonTimes(whole=0.0058, queued=0.0001), total=0.011)
    assert rounded(found) == {
        breakdown.CALLER: 1.0,
        breakdown.RECEIVE: 0.5,
        breakdown.BEFORE: 0.5,
        breakdown.HOP: 0.7,
        breakdown.QUEUE: 0.1,
        breakdown.TRITON: 0.7,
        "decode": 2.0,
        "vit": 2.5,
        breakdown.BACKEND: 0.5,
        breakdown.COMMIT: 0.5,
        breakdown.RENDER: 0.25,
        breakdown.REST: 1.75,
    }
    assert sum(found.values()) == pytest.approx(0.011)


@pytest.mark.parametrize("missing", ["receive", "infer", "commit", "render"])
def test_a_request_without_a_span_is_refused_with_its_name(missing):
    spans = [each for each in REQUEST if each.name != missing]
    with pytest.raises(ValueError, match=missing):
        parts(spans, TritonTimes(0.005, 0.0), total=0.011)


def test_a_refused_request_has_no_parts():
    spans = [each for each in REQUEST if each.parent != "infer"]
    with pytest.raises(ValueError, match="does not say what its parts took"):
        parts(spans, TritonTimes(0.005, 0.0), total=0.011)


def test_a_collector_keeps_spans_by_request():
    sent = ExportTraceServiceRequest()
    scope = sent.resource_spans.add().scope_spans.add()
    for trace in (b"\x01" * 16, b"\x02" * 16):
        scope.spans.add(
            name="infer",
            span_id=b"\x0a" * 8,
            trace_id=trace,
            start_time_unix_nano=2_000_000_000,
            end_time_unix_nano=2_500_000_000,
        )
    with Collector() as collector:
        answer = httpx.post(collector.endpoint + "/v1/traces", content=sent.SerializeToString())
        assert answer.status_code == 200
        found = by_trace(collector.spans())
    assert set(found) == {"01" * 16, "02" * 16}
    (span,) = found["01" * 16]
    assert (span.name, span.parent, span.end - span.begin) == ("infer", "", 0.5)


class Triton:
    """Its counters, one answer of the statistics after the other."""

    def __init__(self, *counts):
        self.counts = iter(counts)

    def get_inference_statistics(self, as_json):
        requests, ensemble, step, queued = next(self.counts)
        return {
            "model_stats": [
                {"name": "p", "inference_stats": {"success": {"count": requests, "ns": ensemble}}},
                {
                    "name": "p_decision",
                    "inference_stats": {
                        "success": {"count": requests, "ns": step},
                        "queue": {"count": requests, "ns": queued},
                    },
                },
                {"name": "p_idle", "inference_stats": {"success": {}}},
            ]
        }


def counted(*counts):
    triton = object.__new__(TritonStatistics)
    triton._client, triton._pipeline = Triton(*counts), "p"
    triton.skip()
    return triton


def test_triton_s_time_is_that_of_the_one_request_since():
    triton = counted((7, 70, 60, 5), (8, 5_000_070, 4_000_060, 2_000_005))
    assert triton.request() == TritonTimes(pytest.approx(0.005), pytest.approx(0.002))


def test_counters_that_come_after_the_answer_are_waited_for():
    triton = counted((7, 70, 60, 5), (7, 70, 60, 5), (8, 1_000_070, 60, 5))
    assert triton.request().whole == pytest.approx(0.001)


def test_another_caller_s_requests_are_told():
    with pytest.raises(LabError, match="who else asks"):
        counted((7, 70, 60, 5), (9, 80, 70, 5)).request()


def test_threads_that_wake_up_are_counted_by_role():
    service = SimpleNamespace(
        pids=lambda: [("gateway", os.getpid()), ("tritonserver", 2**22 + 1)],
        cpu_seconds=lambda: {"gateway": time.process_time(), "tritonserver": 0.0},
    )
    counter = ProcessCounter(service)
    for _ in range(20):
        time.sleep(0.001)
    work = counter.work(10)
    name = Path("/proc/self/comm").read_text("utf-8").strip()
    assert work["gateway"].wakes[name] >= 2
    assert work["gateway"].by_name.startswith(name)
    assert work["gateway"].cpu_ms > 0
    assert (work["tritonserver"].wakes, work["tritonserver"].cpu_ms) == ({}, 0)
