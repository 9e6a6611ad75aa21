import re

import pytest

pytestmark = pytest.mark.anyio


async def test_the_documentation_names_no_other_host(client):
    page = await client.get("/docs")
    assert page.status_code == 200
    named = re.findall(r'(?:src|href|data-document)="([^"]*)"', page.text)
    assert len(named) == 5
    for path in named:
        assert re.match(r"/\w", path)
        answer = await client.get(path)
        assert answer.status_code == 200, path
        assert answer.content
    start = (await client.get("/docs/start.js")).text
    assert "validatorUrl: null" in start
    for text in (page.text, start):
        assert "//" not in text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    # Neither a host nor a scheme, so that the browser asks nobody else.
    assert "." not in policy
    assert "http" not in policy
    assert "*" not in policy


@pytest.mark.parametrize(
    ("name", "kind", "content"),
    [
        ("swagger-ui-bundle.js", "text/javascript", b"SwaggerUIBundle"),
        ("swagger-ui.css", "text/css", b".swagger-ui"),
        ("favicon.png", "image/png", b"\x89PNG"),
    ],
)
async def test_the_files_of_the_page_are_complete_each_time(client, name, kind, content):
    for _ in range(2):
        answer = await client.get(f"/docs/{name}")
        assert answer.headers["content-type"].partition(";")[0] == kind
        assert int(answer.headers["content-length"]) == len(answer.content)
        assert content in answer.content


@pytest.mark.parametrize("path", ["/redoc", "/docs/oauth2-redirect", "/docs/../app.py", "/docs/x"])
async def test_there_is_no_other_page(client, path):
    assert (await client.get(path)).status_code == 404
