import pytest
from pydantic import ValidationError

from gateway.settings import Settings
from tests.unit.gateway.samples import JPEG, RAW

pytestmark = pytest.mark.anyio

ORIGIN = "https://ward.example"
PREFLIGHT = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "x-api-key,content-type",
}


async def ask(client, origin):
    preflight = await client.options("/api/v1/predict", headers={"Origin": origin, **PREFLIGHT})
    answer = await client.post("/api/v1/predict", content=JPEG, headers={"Origin": origin, **RAW})
    assert answer.status_code == 200
    return preflight, answer


async def test_pages_of_other_origins_are_not_allowed_by_default(client):
    preflight, answer = await ask(client, ORIGIN)
    assert preflight.status_code == 405
    for response in (preflight, answer):
        assert not [name for name in response.headers if name.startswith("access-control")]


async def test_a_page_of_a_listed_origin_may_ask_and_another_may_not(start):
    client = await start(cors_origins=(ORIGIN, "http://localhost:3000"))
    preflight, answer = await ask(client, ORIGIN)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == ORIGIN
    assert "POST" in preflight.headers["access-control-allow-methods"]
    assert "x-api-key" in preflight.headers["access-control-allow-headers"].lower()
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "x-request-id" in answer.headers["access-control-expose-headers"].lower()
    for other in ("https://evil.example", "https://ward.example.evil.example", "null"):
        preflight, answer = await ask(client, other)
        assert preflight.status_code == 400
        assert "access-control-allow-origin" not in preflight.headers
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("origins", [("*",), (ORIGIN,)])
async def test_credentials_of_a_browser_are_never_allowed(start, origins):
    client = await start(cors_origins=origins)
    for response in await ask(client, ORIGIN):
        assert response.headers["access-control-allow-origin"] == origins[0]
        assert "access-control-allow-credentials" not in response.headers


async def test_origins_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("GATEWAY_CORS_ORIGINS", " https://a.example, http://b.example:81 ,")
    assert Settings().cors_origins == ("https://a.example", "http://b.example:81")
    monkeypatch.setenv("GATEWAY_CORS_ORIGINS", "*")
    assert Settings().cors_origins == ("*",)
    for wrong in ("a.example", "https://a.example/", "https://*.example", "null", "ftp://a", "*,x"):
        monkeypatch.setenv("GATEWAY_CORS_ORIGINS", wrong)
        with pytest.raises(ValidationError, match="https://host"):
            Settings()
