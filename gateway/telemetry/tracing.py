"""Traces of requests by OpenTelemetry: one span a request, with its stages and its members below.

Off unless a collector is configured; OpenTelemetry is imported only then. A span says how long
something took and what came of it. None has a file name, a form field or anything of an image.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opentelemetry.propagators.textmap import TextMapPropagator
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span, Tracer

    from gateway.results.compute import ComputeTime

_HEADER = "traceparent"
"""Of W3C Trace Context. Its companion `tracestate` may hold any text of a caller: it is dropped."""
SERVICE_NAME = "second-opinion-gateway"
_PATH = "/v1/traces"
_NANO = 1_000_000_000
_NAMES = {"account": "commit"}
"""Spans that are not named as their stage."""
_SENT_MILLISECONDS = 5000
"""How long the collector may take for what is left at the end."""


class Tracing:
    """Makes spans and sends them to a collector, in batches, from a thread of its own.

    The queue of spans is bounded: where the collector takes none, they are dropped.
    """

    def __init__(self, endpoint: str, share: float) -> None:
        """Starts the thread.

        Args:
            endpoint: of the collector, for OTLP over HTTP, as `http://collector:4318`.
            share: of the requests that are traced, where their callers do not say; in [0, 1].
        """
        from opentelemetry import trace  # noqa: PLC0415 - who traces nothing pays nothing
        from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415
            TraceContextTextMapPropagator,
        )

        self._provider = _provider(endpoint, share)
        self._spans = _Spans(
            trace, self._provider.get_tracer("gateway"), TraceContextTextMapPropagator()
        )

    def begin(self, headers: Iterable[tuple[str | bytes, str | bytes]]) -> "RequestTrace":
        """The trace of a request that begins: its caller's, where its headers have one."""
        return RequestTrace(self._spans, self._spans.of_request(_sent(headers)))

    def close(self) -> None:
        """Sends what is left, for a few seconds at most."""
        self._provider.force_flush(_SENT_MILLISECONDS)
        self._provider.shutdown()


@dataclass(frozen=True, slots=True)
class _Spans:
    """Makes spans."""

    api: ModuleType
    """`opentelemetry.trace`."""
    tracer: "Tracer"
    propagator: "TextMapPropagator"

    def of_request(self, headers: Mapping[str, str]) -> "Span":
        context = self.propagator.extract(headers)
        return self.tracer.start_span("request", context, kind=self.api.SpanKind.SERVER)

    def child(self, parent: "Span", name: str, start: int) -> "Span":
        """A span below another one, from a time in nanoseconds since 1970 on."""
        context = self.api.set_span_in_context(parent)
        return self.tracer.start_span(name, context, start_time=start)

    def headers(self, span: "Span") -> dict[str, str]:
        """By which another process goes on with the trace; none where it is not sampled.

        Triton 2.51 would trace that one, too.
        """
        carrier: dict[str, str] = {}
        if not span.get_span_context().trace_flags.sampled:
            return carrier
        self.propagator.inject(carrier, self.api.set_span_in_context(span))
        return carrier


class RequestTrace:
    """The span of one request, and those of its stages."""

    def __init__(self, spans: _Spans, span: "Span") -> None:
        self._spans = spans
        self._span = span

    def passed(self, stage: str, seconds: float) -> None:
        """A stage that has just ended."""
        now = time.time_ns()
        name = _NAMES.get(stage, stage)
        self._spans.child(self._span, name, now - round(seconds * _NANO)).end(now)

    def infer(self) -> "InferSpan":
        """An inference that begins."""
        return InferSpan(self._spans, self._spans.child(self._span, "infer", time.time_ns()))

    def end(self, name: str, facts: Mapping[str, str | int | None], refusal: str | None) -> None:
        """The request is over.

        Args:
            name: of its span.
            facts: its attributes; None: there is none.
            refusal: code of the problem, where it got no answer.
        """
        self._span.update_name(name)
        self._span.set_attributes({k: v for k, v in facts.items() if v is not None})
        if refusal is not None:
            self._span.set_status(self._spans.api.StatusCode.ERROR, refusal)
        self._span.end()


class InferSpan:
    """The span of one inference, with those of decoding, members and decision below it."""

    def __init__(self, spans: _Spans, span: "Span") -> None:
        self._spans = spans
        self._span = span

    @property
    def headers(self) -> dict[str, str]:
        """By which Triton goes on with the trace."""
        return self._spans.headers(self._span)

    def answered(self, compute: "ComputeTime") -> None:
        """What Triton has measured of an image that it has just answered."""
        now = time.time_ns()
        for name, part in compute.parts.items():
            span = self._spans.child(self._span, name, now - round(part.began * _NANO))
            span.set_attributes(
                {
                    "compute_seconds": part.seconds,
                    "device": str(part.device),
                    "estimated": part.estimated,
                }
            )
            span.end(now - round(part.ended * _NANO))

    def end(self) -> None:
        """It is over."""
        self._span.end()


def _sent(headers: Iterable[tuple[str | bytes, str | bytes]]) -> dict[str, str]:
    """The header of the caller's trace, where there is one."""
    found = {}
    for name, value in headers:
        if name in {_HEADER, _HEADER.encode()}:
            found[_HEADER] = value if isinstance(value, str) else value.decode("latin-1")
    return found


def _provider(endpoint: str, share: float) -> "TracerProvider":
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
        OTLPSpanExporter,
    )
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased  # noqa: PLC0415

    provider = TracerProvider(
        sampler=ParentBased(TraceIdRatioBased(share)),
        resource=Resource.create({"service.name": SERVICE_NAME}),
        shutdown_on_exit=False,
    )
    exporter = OTLPSpanExporter(endpoint=endpoint.rstrip("/") + _PATH)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider
