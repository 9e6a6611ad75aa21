"""A collector of OpenTelemetry spans, on this machine, for the lab."""

import threading
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

_NANO = 1e9


@dataclass(frozen=True)
class Span:
    """What took how long; seconds since 1970."""

    name: str
    id: str
    parent: str
    """Id of the span above it; empty: the request itself, or what its caller sent."""
    trace: str
    """In hexadecimal digits, as `traceparent` has it."""
    begin: float
    end: float


class Collector:
    """Takes spans by OTLP over HTTP while its context is open."""

    def __init__(self) -> None:
        self._bodies: list[bytes] = []
        bodies = self._bodies

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                bodies.append(self.rfile.read(int(self.headers["content-length"])))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)

    @property
    def endpoint(self) -> str:
        """As `GATEWAY_OTLP_ENDPOINT` takes it."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def spans(self) -> list[Span]:
        """All that came so far. What is left comes when the gateway ends."""
        return [
            Span(
                span.name,
                span.span_id.hex(),
                span.parent_span_id.hex(),
                span.trace_id.hex(),
                span.start_time_unix_nano / _NANO,
                span.end_time_unix_nano / _NANO,
            )
            for body in self._bodies
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


def by_trace(spans: Sequence[Span]) -> dict[str, list[Span]]:
    """The spans of each request."""
    found: defaultdict[str, list[Span]] = defaultdict(list)
    for span in spans:
        found[span.trace].append(span)
    return dict(found)
