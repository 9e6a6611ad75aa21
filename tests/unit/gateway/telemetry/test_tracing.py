"""Traces: the spans that a collector gets by OTLP over HTTP, and what none of them ever holds."""

import subprocess
import sys
import threading
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from gateway.settings import Settings
from pipelines.load import load_spec
from tests.unit.gateway.asking import images
from tests.unit.gateway.samples import JPEG, RAW, files
from tests.unit.gateway.toy_triton import SPEC

pytestmark = pytest.mark.anyio

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
CANARY = "Canary-Jane-Doe-1971"


class Collector:
    """What a collector got, once the gateway has stopped."""

    def __init__(self):
        self.bodies, self.paths = [], set()

    @property
    def spans(self):
        requests = [ExportTraceServiceRequest.FromString(body) for body in self.bodies]
        return [
            span
            for request in requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def named(self, name):
        return [span for span in self.spans if span.name == name]


@contextmanager
def collecting(status=200):
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            collector.paths.add(self.path)
            collector.bodies.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        collector.endpoint = f"http://127.0.0.1:{server.server_port}"
        yield collector
        server.shutdown()
        thread.join()


@pytest.fixture
def collector():
    with collecting() as found:
        yield found


@pytest.fixture
async def traced(start, collector):
    """Starts a gateway whose traces are sent, the last of them by `flush`; gives a client."""

    async def begin(**settings):
        return await start(otlp_endpoint=collector.endpoint, **settings)

    return begin


def flush(client):
    client._transport.app.state.telemetry.close()


def attributes(span):
    return {each.key: each.value for each in span.attributes}


async def test_a_request_has_a_span_and_its_stages_lie_below_it(traced, collector):
    client = await traced()
    response = await client.post("/api/v1/predict", content=JPEG, headers=RAW)
    flush(client)
    assert collector.paths == {"/v1/traces"}
    (request,) = [span for span in collector.spans if not span.parent_span_id]
    assert request.name == "predict"
    below = [span for span in collector.spans if span.parent_span_id == request.span_id]
    assert {span.name for span in below} == {"receive", "infer", "commit", "render"}
    (infer,) = collector.named("infer")
    parts = [span for span in collector.spans if span.parent_span_id == infer.span_id]
    assert [span.name for span in parts] == list(SPEC.parts)
    assert attributes(parts[1])["compute_seconds"].double_value == 0.015625
    assert attributes(parts[1])["device"].string_value == "cpu"
    assert {span.trace_id for span in collector.spans} == {request.trace_id}
    for span in collector.spans:
        assert span.start_time_unix_nano < span.end_time_unix_nano
    said = attributes(request)
    assert said["request_id"].string_value == response.headers["x-request-id"]
    assert said["outcome"].string_value == "ok"
    assert said["status"].string_value == "200"


async def test_a_batch_has_an_inference_for_each_image(traced, collector):
    client = await traced()
    await client.post("/api/v1/predict/batch", files=files(JPEG, JPEG, JPEG))
    flush(client)
    counts = Counter(span.name for span in collector.spans)
    assert counts["infer"] == counts["queue"] == counts["decode"] == counts["decision"] == 3
    assert counts["commit"] == 1


async def test_the_caller_s_trace_goes_on_and_on_to_triton(traced, collector, triton):
    client = await traced()
    await client.post("/api/v1/predict", content=JPEG, headers=RAW | SAMPLED)
    flush(client)
    assert {span.trace_id.hex() for span in collector.spans} == {TRACE}
    (request,) = collector.named("predict")
    assert request.parent_span_id.hex() == PARENT
    (infer,) = collector.named("infer")
    assert triton.metadata["traceparent"] == f"00-{TRACE}-{infer.span_id.hex()}-01"


async def test_a_caller_that_is_not_traced_and_a_broken_header_leave_it_to_the_gateway(
    traced, collector, triton
):
    client = await traced(trace_share=0)
    unsampled = {"traceparent": f"00-{TRACE}-{PARENT}-00"}
    for headers in (unsampled, {"traceparent": "00-nonsense"}, {}):
        response = await client.post("/api/v1/predict", content=JPEG, headers=RAW | headers)
        assert response.status_code == 200
        assert "traceparent" not in triton.metadata
    flush(client)
    assert collector.spans == []


async def test_grpc_is_traced_alike(open_grpc, collector):
    client = await open_grpc(otlp_endpoint=collector.endpoint)
    await client.infer(SPEC.name, images(JPEG), headers=SAMPLED)
    flush(client.http)
    (request,) = collector.named("grpc")
    assert (request.trace_id.hex(), request.parent_span_id.hex()) == (TRACE, PARENT)
    assert attributes(request)["status"].string_value == "OK"
    assert {"receive", "infer", "commit", "vgg16"} <= {span.name for span in collector.spans}


async def test_a_refusal_is_an_error_by_its_code(traced, collector):
    client = await traced()
    await client.post("/api/v1/predict", content=b"no image", headers=RAW)
    flush(client)
    (request,) = collector.named("predict")
    assert request.status.message == "image_format"
    assert attributes(request)["outcome"].string_value == "image_format"


async def test_probes_leave_no_trace(traced, collector):
    client = await traced()
    for path in ("/healthz", "/readyz", "/metrics"):
        await client.get(path)
    flush(client)
    assert collector.spans == []


async def test_no_span_has_a_file_name_a_form_field_or_a_text_of_the_caller(traced, collector):
    client = await traced()
    form = {"files": (f"{CANARY}.jpg", JPEG, "image/jpeg")}
    fields = {"patient": CANARY, "note": CANARY}
    headers = {"user-agent": CANARY, "x-note": CANARY, "tracestate": f"a={CANARY}"} | SAMPLED
    for path in ("/api/v1/predict", "/api/v1/predict/advanced", "/api/v1/predict/batch"):
        field = "files" if path.endswith("batch") else "file"
        await client.post(path, files={field: form["files"]}, data=fields, headers=headers)
    await client.post(f"/api/v1/predict?member={CANARY}", content=JPEG, headers=RAW)
    await client.post(f"/api/v1/pipelines/{CANARY}/predict", content=JPEG, headers=RAW)
    await client.get(f"/{CANARY}")
    flush(client)
    assert len(collector.named("predict")) == 3
    assert collector.bodies
    for body in collector.bodies:
        assert CANARY.encode() not in body


async def test_a_collector_that_is_gone_or_refuses_keeps_nobody_waiting(start):
    with collecting(status=400) as refusing:
        client = await start(otlp_endpoint=refusing.endpoint)
        response = await client.post("/api/v1/predict", content=JPEG, headers=RAW)
        assert response.status_code == 200
        flush(client)
        assert refusing.bodies


async def test_a_detector_s_parts_are_spans(serving, start, triton, collector):
    spec = load_spec("object_detection")
    triton.serve(spec)
    client = await start(default_pipeline=spec.name, otlp_endpoint=collector.endpoint)
    await client.post("/api/v1/predict", content=JPEG, headers=RAW)
    flush(client)
    assert {"decode", "yolos", "decision"} <= {span.name for span in collector.spans}


def test_who_traces_nothing_loads_neither_sdk_nor_exporter():
    # FastAPI itself imports the API, where it is installed.
    code = (
        "import sys; from gateway.app import create_app; from gateway.settings import Settings; "
        "create_app(Settings()); "
        "loaded = ('opentelemetry.sdk', 'opentelemetry.exporter'); "
        "print([name for name in sys.modules if name.startswith(loaded)])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("endpoint", ["collector:4318", "ftp://collector", "http://a b"])
def test_an_endpoint_that_is_none_is_refused(endpoint):
    with pytest.raises(ValueError, match="otlp_endpoint"):
        Settings(otlp_endpoint=endpoint)
