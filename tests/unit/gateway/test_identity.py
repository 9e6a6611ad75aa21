"""Who may ask what: over HTTP, KServe's protocol and gRPC alike."""

import asyncio

import grpc
import pytest
from grpc_health.v1 import health_pb2
from starlette.routing import Route
from structlog.testing import capture_logs

from gateway.identity.key_format import ApiKey
from gateway.identity.principal import Role
from gateway.triton.client import SERVICE
from tests.unit.gateway.asking import assert_refused, images, requests, until_ready
from tests.unit.gateway.identity.test_tokens import KEYS, SETTINGS, token
from tests.unit.gateway.samples import JPEG, RAW, assert_problem

pytestmark = pytest.mark.anyio

HEALTH = {"/healthz", "/readyz", "/v2/health/live", "/v2/health/ready"}
PAGE = {"/", "/web/{version}/{name:path}"}
"""Files without data, among them the form that asks for a key."""
LOGIN = ("POST", "/api/v1/session")
"""It takes the key in its body."""
LOGIN_WAYS = "/api/v1/session/ways"
"""How to log in, before anybody has: whether there is an issuer, and where its logout is."""
GRPC_HEALTH = {
    f"{SERVICE}ServerLive",
    f"{SERVICE}ServerReady",
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/Watch",
}
PREDICTIONS = [
    "/api/v1/predict",
    "/api/v1/predict/advanced",
    "/api/v1/predict/batch",
    "/predict",
    "/api/v1/pipelines/{name}/predict",
    "/api/v1/pipelines/{name}/predict/advanced",
    "/api/v1/pipelines/{name}/predict/batch",
    "/v2/models/{name}/infer",
    "/v2/models/{name}/versions/1/infer",
]
DESCRIPTIONS = [
    "/api/v1/pipelines/{name}",
    "/v2/models/{name}",
    "/v2/models/{name}/versions/1",
    "/v2/models/{name}/config",
    "/v2/models/{name}/stats",
    "/v2/models/{name}/ready",
    "/readyz?pipeline={name}",
]


def keyed(key):
    return {"x-api-key": key}


class _Parameters(dict):
    def __missing__(self, name):
        return "x"


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """An unknown key waits for no second look at the database."""
    monkeypatch.setattr("gateway.identity.api_keys._SOONEST", 0)


def targets(routes):
    """Method and path of every route."""
    for route in routes:
        if (router := getattr(route, "original_router", None)) is not None:
            yield from targets(router.routes)
            continue
        assert isinstance(route, Route), f"{route}: is it asked for credentials?"
        if route.path in PAGE:
            continue
        path = route.path.format_map(_Parameters(name="oral_cancer", version="1"))
        for method in route.methods - {"HEAD"}:
            yield method, path


async def test_every_route_but_health_is_refused_without_a_known_key(start, triton):
    client = await start(auth="required")
    await until_ready(client)
    app = client._transport.app
    found = list(targets(app.routes))
    assert {path for _, path in found} >= HEALTH
    assert len(found) > 20
    unknown = ApiKey.new().text
    found.remove(LOGIN)
    for key in ("wrong", unknown):
        assert (await client.request(*LOGIN, json={"key": key})).status_code == 401
    for method, path in found:
        for headers in ({}, keyed("wrong"), keyed(unknown), {"Authorization": f"Bearer {unknown}"}):
            answer = await client.request(method, path, headers=headers, content=JPEG)
            expected = 200 if path in {*HEALTH, LOGIN_WAYS} else 401
            assert answer.status_code == expected, (method, path, headers)
    assert triton.calls == []


async def test_every_method_of_grpc_but_health_is_refused_without_a_known_key(open_grpc, triton):
    client = await open_grpc(auth="required", grpc_reflection=True)
    await until_ready(client.http)
    server = client.http._transport.app.state.grpc_server
    methods = {*server._handlers, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"}
    assert methods > GRPC_HEALTH
    assert {f"{SERVICE}ModelInfer", f"{SERVICE}RepositoryIndex"} < methods
    unknown = ApiKey.new().text
    async with grpc.aio.insecure_channel(f"127.0.0.1:{client.port}") as channel:
        for method in methods:
            for metadata in (
                (),
                (("x-api-key", "wrong"),),
                (("authorization", f"Bearer {unknown}"),),
            ):
                call = channel.stream_stream(method)(iter([b""]), metadata=metadata)
                if method in GRPC_HEALTH:
                    assert await call.read() is not grpc.aio.EOF
                    call.cancel()
                    continue
                assert await call.code() is grpc.StatusCode.UNAUTHENTICATED, method
    assert triton.calls == []


async def test_another_pipeline_is_forbidden_whether_or_not_it_exists(start, new_key, triton):
    key = new_key(pipelines=["mhist"], roles=Role)
    client = await start(auth="required")
    await until_ready(client)
    for name in ("oral_cancer", "no_such_pipeline"):
        for target in PREDICTIONS:
            if "{name}" not in target and name != "oral_cancer":
                continue
            headers = keyed(key) | RAW
            answer = await client.post(target.format(name=name), content=JPEG, headers=headers)
            assert answer.status_code == 403, target
            assert "forbidden" in answer.text
        for target in DESCRIPTIONS:
            answer = await client.get(target.format(name=name), headers=keyed(key))
            assert answer.status_code == 403, target
            assert name not in answer.text
    assert triton.calls == []
    # Of its own it is told that it is not there, and not which others are.
    for target in (*PREDICTIONS, *DESCRIPTIONS):
        if "{name}" in target:
            method = "POST" if target in PREDICTIONS else "GET"
            answer = await client.request(
                method, target.format(name="mhist"), content=JPEG, headers=keyed(key) | RAW
            )
            assert answer.status_code == 404
            assert "oral_cancer" not in answer.text, target


async def test_another_pipeline_is_forbidden_over_grpc_too(open_grpc, new_key, triton):
    key = new_key(pipelines=["mhist"], roles=Role)
    client = await open_grpc(auth="required")
    await until_ready(client.http)
    headers = keyed(key)
    for name in ("oral_cancer", "no_such_pipeline"):
        for call in (
            client.infer(name, images(JPEG), headers=headers),
            client.get_model_metadata(name, headers=headers),
            client.get_model_config(name, headers=headers),
            client.get_inference_statistics(name, headers=headers),
            client.is_model_ready(name, headers=headers),
        ):
            message = await assert_refused(call, "PERMISSION_DENIED", "forbidden")
            assert name not in message
        async with grpc.aio.insecure_channel(f"127.0.0.1:{client.port}") as channel:
            asked = health_pb2.HealthCheckRequest(service=name).SerializeToString()
            for method in ("Check", "Watch"):
                call = channel.stream_stream(f"/grpc.health.v1.Health/{method}")(
                    iter([asked]), metadata=(("x-api-key", key),)
                )
                assert await call.code() is grpc.StatusCode.PERMISSION_DENIED
    for call in (
        client.infer("mhist", images(JPEG), headers=headers),
        client.get_model_metadata("mhist", headers=headers),
        client.is_model_ready("mhist", headers=headers),
    ):
        assert "oral_cancer" not in await assert_refused(call, "NOT_FOUND", "pipeline_unknown")
    assert triton.calls == []


async def test_who_watches_a_pipeline_is_told_no_more_once_the_key_is_revoked(
    open_grpc, new_key, key_store
):
    key = new_key()
    client = await open_grpc(auth="required")
    await until_ready(client.http)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{client.port}") as channel:
        asked = health_pb2.HealthCheckRequest(service="oral_cancer").SerializeToString()
        watch = channel.stream_stream("/grpc.health.v1.Health/Watch")(
            iter([asked]), metadata=(("x-api-key", key),)
        )
        assert await watch.read() is not grpc.aio.EOF
        key_store.revoke(ApiKey.parse(key).id)
        async with asyncio.timeout(30):
            assert await watch.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_lists_show_the_callers_own_pipelines(open_grpc, new_key):
    own, other = new_key(pipelines=["oral_cancer"]), new_key(pipelines=["mhist"])
    client = await open_grpc(auth="required")
    http = client.http
    await until_ready(http)
    for key, names, default in ((own, ["oral_cancer"], "oral_cancer"), (other, [], None)):
        headers = keyed(key)
        listed = (await http.get("/api/v1/pipelines", headers=headers)).json()
        assert [pipeline["name"] for pipeline in listed["pipelines"]] == names
        assert listed["default"] == default
        index = (await http.post("/v2/repository/index", headers=headers)).json()
        assert [model["name"] for model in index] == names
        states = (await http.get("/readyz", headers=headers)).json()
        assert list(states["pipelines"]) == names
        statistics = (await http.get("/v2/models/stats", headers=headers)).json()
        assert {model["name"] for model in statistics["model_stats"]} == set(names)
        over_grpc = await client.get_model_repository_index(headers=headers)
        assert [model.name for model in over_grpc.models] == names
        counted = await client.get_inference_statistics(headers=headers)
        assert {model.name for model in counted.model_stats} == set(names)


async def test_a_role_opens_what_it_is_for_and_nothing_else(open_grpc, new_key, triton):
    client = await open_grpc(auth="required")
    http = client.http
    await until_ready(http)
    keys = {role: new_key(roles=[role]) for role in Role}
    for role, key in keys.items():
        answer = await http.post("/api/v1/predict", content=JPEG, headers=keyed(key) | RAW)
        assert answer.status_code == (200 if role is Role.PREDICT else 403)
        metrics = await http.get("/metrics", headers=keyed(key))
        assert metrics.status_code == (200 if role is Role.OPERATE else 403)
        assert (await http.get("/api/v1/pipelines", headers=keyed(key))).status_code == 200
        asked = client.infer("oral_cancer", images(JPEG), headers=keyed(key))
        if role is Role.PREDICT:
            await asked
        else:
            await assert_refused(asked, "PERMISSION_DENIED", "forbidden")
    assert len(triton.calls) == 2
    # Metrics are of all pipelines.
    of_one = new_key(roles=[Role.OPERATE], pipelines=["oral_cancer"])
    refused = await http.get("/metrics", headers=keyed(of_one))
    assert_problem(refused, 403, "forbidden")


async def test_a_revoked_key_is_refused_at_every_gateway_after_their_next_look(
    start, new_key, key_store
):
    gateways = [await start(auth="required"), await start(auth="required")]
    key = new_key()
    for client in gateways:
        await client._transport.app.state.authenticator.keys.look()
        assert (await client.get("/api/v1/pipelines", headers=keyed(key))).status_code == 200
    key_store.revoke(ApiKey.parse(key).id)
    for client in gateways:
        await client._transport.app.state.authenticator.keys.look()
        answer = await client.get("/api/v1/pipelines", headers=keyed(key))
        assert_problem(answer, 401, "unauthorized")


async def test_wrong_keys_make_no_series_and_a_known_one_is_logged_by_its_owner(start, new_key):
    key = new_key("prometheus")
    client = await start(auth="required")

    async def series():
        text = (await client.get("/metrics", headers=keyed(key))).text
        return {line.rpartition(" ")[0] for line in text.splitlines() if line[:1] != "#"}

    await client.get("/api/v1/pipelines", headers=keyed(ApiKey.new().text))
    before = await series()
    with capture_logs() as lines:
        for _ in range(100):
            wrong = ApiKey.new().text
            answer = await client.get("/api/v1/pipelines", headers=keyed(wrong))
            assert_problem(answer, 401, "unauthorized")
            assert wrong not in answer.text
            assert ApiKey.parse(wrong).id not in str(lines)
        await client.get("/api/v1/pipelines", headers=keyed(key))
    assert len(await series() - before) <= 3  # of the one request that was answered
    logged = requests(lines)
    assert [line.get("caller") for line in logged[-2:]] == [None, "prometheus"]
    assert key not in str(lines)


@pytest.fixture
def tokens(tmp_path, monkeypatch):
    file = tmp_path / "jwks.json"
    file.write_bytes(KEYS)
    for name, value in {**SETTINGS, "jwks": str(file)}.items():
        monkeypatch.setenv(f"GATEWAY_TOKEN_{name.upper()}", value)
    monkeypatch.setenv("GATEWAY_TOKEN_PIPELINES_CLAIM", "pipelines")


async def test_a_bearer_token_is_let_in_over_http_and_grpc(tokens, open_grpc):
    client = await open_grpc(auth="required")
    http = client.http
    await until_ready(http)
    good = token(pipelines=["oral_cancer"])
    other = token(pipelines=["mhist"])
    expired = token(pipelines=["oral_cancer"], exp=1)
    for text, status, code in (
        (good, 200, None),
        (other, 403, ("PERMISSION_DENIED", "forbidden")),
        (expired, 401, ("UNAUTHENTICATED", "unauthorized")),
    ):
        headers = {"authorization": f"Bearer {text}"}
        with capture_logs() as lines:
            answer = await http.post("/api/v1/predict", content=JPEG, headers=headers | RAW)
        assert answer.status_code == status
        assert text not in str(lines)
        assert requests(lines)[0].get("caller") == (None if status == 401 else "token:dr-1")
        asked = client.infer("oral_cancer", images(JPEG), headers=headers)
        if code is None:
            await asked
        else:
            await assert_refused(asked, *code)


async def test_keys_that_cannot_be_read_are_a_503_and_not_a_401(start, new_key, monkeypatch):
    key = new_key()
    client = await start(auth="required")
    keys = client._transport.app.state.authenticator.keys
    monkeypatch.setattr(keys, "_stale_seconds", -1)
    answer = await client.get("/api/v1/pipelines", headers=keyed(key))
    assert_problem(answer, 503, "unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    assert (await client.get("/healthz")).status_code == 200


async def test_where_identity_is_off_nobody_is_asked(start):
    client = await start()
    await until_ready(client)
    assert (await client.get("/metrics")).status_code == 200
    answer = await client.post("/api/v1/predict", content=JPEG, headers=RAW | keyed("whatever"))
    assert answer.status_code == 200
