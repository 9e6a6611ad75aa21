import pytest

from tests.unit.gateway.samples import JPEG, RAW, assert_problem

pytestmark = pytest.mark.anyio

GETS = ["/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/api/v1/pipelines"]
POSTS = [
    "/predict",
    "/api/v1/predict",
    "/api/v1/predict/advanced",
    "/api/v1/predict/batch",
    "/api/v1/pipelines/oral_cancer/predict",
    "/api/v1/pipelines/oral_cancer/predict/advanced",
]


@pytest.mark.parametrize("path", [*GETS, "/api/v1/pipelines/oral_cancer"])
async def test_a_slash_at_the_end_and_head_are_the_same_route(client, path):
    # An answer is the proof that the pipeline is ready.
    await client.post("/api/v1/predict", content=JPEG, headers=RAW)
    plain = await client.get(path)
    slash = await client.get(path + "/")
    head = await client.head(path)
    assert (plain.status_code, slash.status_code, head.status_code) == (200, 200, 200)
    assert head.content == b""
    kind = plain.headers["content-type"]
    assert slash.headers["content-type"] == head.headers["content-type"] == kind
    if path != "/metrics":
        assert int(head.headers["content-length"]) == len(plain.content)


@pytest.mark.parametrize("path", POSTS)
async def test_a_body_sent_to_a_path_with_a_slash_is_read(client, path):
    files = {"files" if path.endswith("batch") else "file": ("a.jpg", JPEG)}
    plain = await client.post(path, files=files)
    slash = await client.post(path + "/?threshold=0.3", files=files)
    assert (plain.status_code, slash.status_code) == (200, 200)
    assert plain.json().keys() == slash.json().keys()
    assert slash.json()["threshold"] == pytest.approx(0.3)


@pytest.mark.parametrize("path", ["//", "/healthz//", "/nowhere/"])
async def test_other_paths_are_not_found(client, path):
    # A path alone, the client would join to its own.
    assert_problem(await client.get(f"http://gateway{path}"), 404, "not_found")


async def test_a_head_of_a_route_for_posts_is_405(client):
    answer = await client.head("/api/v1/predict")
    assert (answer.status_code, answer.content) == (405, b"")
    assert answer.headers["allow"] == "POST"


async def test_a_probe_by_head_is_neither_logged_nor_counted(client):
    await client.head("/healthz")
    await client.post("/api/v1/predict", content=JPEG, headers=RAW)
    counts = [
        line
        for line in (await client.get("/metrics")).text.splitlines()
        if line.startswith("gateway_requests_total")
    ]
    assert len(counts) == 1
