"""What callers without a key learn, and what browsers may do with an answer."""

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from structlog.testing import capture_logs
from tritonclient.utils import InferenceServerException

from tests.unit.gateway.asking import images, until_ready
from tests.unit.gateway.samples import JPEG, RAW, assert_problem

pytestmark = pytest.mark.anyio

DESCRIPTIONS = [
    "/docs",
    "/docs/swagger-ui.css",
    "/docs/start.js",
    "/openapi.json",
    "/readyz?pipeline=oral_cancer",
    "/readyz?pipeline=none",
    "/v2/models/oral_cancer/ready",
    "/v2/models/none/ready",
    "/v2/models/oral_cancer/versions/1/ready",
]


@pytest.fixture
def key(new_key):
    return new_key()


async def test_descriptions_and_names_need_a_key_where_callers_must_say_who_they_are(start, key):
    client = await start(auth="required")
    await until_ready(client)
    for target in DESCRIPTIONS:
        without = await client.get(target)
        assert without.status_code == 401, target
        assert "oral_cancer" not in without.text
        known = await client.get(target, headers={"X-API-Key": key})
        assert known.status_code == (404 if "none" in target else 200), target


async def test_the_service_as_a_whole_says_without_a_key_whether_it_is_ready(start, key):
    client = await start(auth="required")
    await until_ready(client)
    without = (await client.get("/readyz")).json()
    assert without == {"ready": True, "pipelines": {}}
    wrong = await client.get("/readyz", headers={"X-API-Key": "no"})
    assert (wrong.status_code, wrong.json()["pipelines"]) == (200, {})
    keyed = await client.get("/readyz", headers={"X-API-Key": key})
    assert keyed.json()["pipelines"] == {"oral_cancer": True}
    bearer = {"Authorization": f"Bearer {key}"}
    assert (await client.get("/readyz", headers=bearer)).json()["pipelines"]
    for target in ("/healthz", "/v2/health/live", "/v2/health/ready"):
        assert (await client.get(target)).status_code == 200
    text = (await client.get("/metrics", headers={"X-API-Key": key})).text
    assert 'reason="unauthorized"' not in text


async def test_a_service_that_is_not_ready_names_no_pipeline_either(start, key):
    client = await start(auth="required")
    client._transport.app.state.readiness.draining = True
    without = await client.get("/readyz")
    assert without.status_code == 503
    assert "oral_cancer" not in without.text


async def test_a_setting_opens_the_descriptions(start, key):
    client = await start(auth="required", public_descriptions=True)
    await until_ready(client)
    for target in DESCRIPTIONS:
        assert (await client.get(target)).status_code == (404 if "none" in target else 200)
    assert (await client.get("/readyz")).json()["pipelines"] == {"oral_cancer": True}
    assert (await client.get("/api/v1/pipelines")).status_code == 401


async def test_names_need_a_key_over_grpc_too(open_grpc, key):
    client = await open_grpc(auth="required")
    await until_ready(client.http)
    assert await client.is_server_ready()
    for name in ("oral_cancer", "none"):
        with pytest.raises(InferenceServerException, match="unauthorized"):
            await client.is_model_ready(name)
    assert await client.is_model_ready("oral_cancer", headers={"x-api-key": key})
    async with grpc.aio.insecure_channel(f"127.0.0.1:{client.port}") as channel:
        health = health_pb2_grpc.HealthStub(channel)
        whole = health_pb2.HealthCheckRequest()
        assert (await health.Check(whole)).status == health_pb2.HealthCheckResponse.SERVING
        for name in ("oral_cancer", "none"):
            asked = health_pb2.HealthCheckRequest(service=name)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await health.Check(asked)
            assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await health.Watch(asked).read()
            assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
        asked = health_pb2.HealthCheckRequest(service="oral_cancer")
        keyed = (("x-api-key", key),)
        serving = health_pb2.HealthCheckResponse.SERVING
        assert (await health.Check(asked, metadata=keyed)).status == serving
        assert (await health.Watch(asked, metadata=keyed).read()).status == serving


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/healthz"),
        ("GET", "/readyz"),
        ("GET", "/metrics"),
        ("GET", "/docs"),
        ("GET", "/docs/swagger-ui-bundle.js"),
        ("GET", "/openapi.json"),
        ("GET", "/nowhere"),
        ("DELETE", "/api/v1/predict"),
        ("POST", "/api/v1/predict"),
        ("POST", "/api/v1/pipelines/none/predict"),
        ("GET", "/v2"),
        ("HEAD", "/healthz"),
    ],
)
async def test_every_answer_tells_browsers_what_they_may_do(client, method, target):
    answer = await client.request(method, target, content=JPEG, headers=RAW)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    (policy,) = answer.headers.get_list("content-security-policy")
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert ("script-src 'self'" in policy) == (target == "/docs")


NAME = "Doe-Jane.1950"


async def test_no_name_that_a_caller_chose_comes_back_or_is_kept(client):
    with capture_logs() as lines:
        answers = [
            await client.get(f"/{NAME}"),
            await client.get(f"/readyz?pipeline={NAME}"),
            await client.get(f"/api/v1/pipelines/{NAME}"),
            await client.post(f"/api/v1/pipelines/{NAME}/predict", content=JPEG, headers=RAW),
            await client.post(f"/api/v1/predict?{NAME}=1", content=JPEG, headers=RAW),
            await client.post(f"/api/v1/predict?member={NAME}", content=JPEG, headers=RAW),
            await client.post("/api/v1/predict", content=JPEG, headers={"Content-Type": NAME}),
            await client.post("/api/v1/predict", files={NAME: (NAME, JPEG)}),
            await client.post("/api/v1/predict", json={NAME: ""}),
            await client.post("/api/v1/predict/batch", json={"images": [{NAME: ""}]}),
            await client.get(f"/v2/models/{NAME}"),
            await client.get(f"/v2/models/oral_cancer/versions/{NAME}"),
            await client.post("/v2/models/oral_cancer/infer", json={NAME: 1}),
            await client.post(
                "/v2/models/oral_cancer/infer",
                json={"inputs": [{"name": NAME, "shape": [1, 1], "datatype": NAME, "data": [""]}]},
            ),
            await client.request("GET", "/docs/" + NAME),
            await client.request("BREW", f"/api/v1/predict?{NAME}"),
        ]
    for answer in answers:
        assert answer.status_code >= 400, answer.request.url
        assert NAME not in answer.text, answer.request.url
        assert NAME not in str(answer.headers)
    assert NAME not in str(lines)
    assert NAME not in (await client.get("/metrics")).text


async def test_no_name_comes_back_over_grpc(grpc_client):
    for call in (
        grpc_client.infer(NAME, images(JPEG)),
        grpc_client.infer("oral_cancer", images(JPEG), parameters={NAME: "1"}),
        grpc_client.infer("oral_cancer", images(JPEG), parameters={"member": NAME}),
        grpc_client.infer("oral_cancer", images(JPEG), model_version=NAME),
        grpc_client.get_model_metadata(NAME),
        grpc_client.is_model_ready(NAME),
    ):
        with pytest.raises(InferenceServerException) as caught:
            await call
        assert NAME not in str(caught.value)


async def test_a_wrong_key_is_told_from_none_by_nothing(start, key):
    client = await start(auth="required")
    for headers in ({}, {"X-API-Key": "wrong"}, {"Authorization": "Bearer wrong"}):
        assert_problem(await client.get("/openapi.json", headers=headers), 401, "unauthorized")
