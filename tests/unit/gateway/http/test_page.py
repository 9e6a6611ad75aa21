import base64
import gzip
import hashlib
import re

import pytest

from gateway.http.page import FOLDER, read_page
from tests.unit.gateway.samples import assert_problem

pytestmark = pytest.mark.anyio

PLAIN = {"accept-encoding": "identity"}


async def test_all_that_the_page_names_is_served_to_be_kept_for_ever(client):
    page = await client.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["cache-control"] == "no-cache"
    named = set(re.findall(r'(?:src|href)="([^"]*)"', page.text))
    named |= {path.removeprefix("./") for path in re.findall(r'": "(\./[^"]*)"', page.text)}
    every = {f"web/{read_page().version}/{name}" for name in read_page().files}
    assert named < every
    for path in every:
        answer = await client.get(f"/{path}")
        assert answer.status_code == 200, path
        assert answer.content
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("gzip, deflate, br", "gzip"),
        ("br;q=1, gzip;q=0.5", "gzip"),
        ("identity", None),
        ("gzip;q=0", None),
        ("gzip; q=0.0, br", None),
        ("", None),
    ],
)
async def test_files_are_compressed_for_those_who_take_it(client, accepted, encoding):
    path = f"/web/{read_page().version}/vendor/bulma.css"
    answer = await client.get(path, headers={"accept-encoding": accepted})
    assert answer.headers.get("content-encoding") == encoding
    assert answer.headers["vary"] == "accept-encoding"
    assert answer.content == (FOLDER / "vendor" / "bulma.css").read_bytes()


def preloaded(page):
    return set(re.findall(r'"modulepreload" href="web/\w+/([^"]*)"', page.start.plain.decode()))


def test_the_first_load_is_small():
    page = read_page()
    files = {"": page.start, **page.files}
    assert all(gzip.decompress(file.compressed) == file.plain for file in files.values())
    modules = {name for name in page.files if name.endswith("js")}
    later = modules - preloaded(page)
    assert sum(len(file.compressed) for name, file in files.items() if name not in later) < 120_000


def test_only_parts_that_are_opened_are_fetched_later():
    page = read_page()
    first = preloaded(page)
    source = "".join(page.files[name].plain.decode() for name in first)
    opened = {f"app/{name}" for name in re.findall(r'import\("\./([\w.]+)"\)', source)}
    assert opened == {"app/history.js", "app/compare.js", "app/operate.js"}
    assert not opened & first
    # What the first ones need is preloaded, so that it is asked for at once.
    for name in first - {name for name in first if name.startswith("vendor/")}:
        needed = re.findall(r'from "\./([^"]*)"', page.files[name].plain.decode())
        folder = name.rpartition("/")[0]
        assert {f"{folder}/{each}" for each in needed} <= first


async def test_nothing_inline_runs_but_the_import_map(client):
    page = await client.get("/")
    inline = re.findall(r"<script(?![^>]*src)[^>]*>(.*?)</script>", page.text, re.DOTALL)
    assert len(inline) == 1
    digest = base64.b64encode(hashlib.sha256(inline[0].encode()).digest()).decode()
    policy = dict(
        directive.strip().split(" ", 1)
        for directive in page.headers["content-security-policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == f"'self' 'sha256-{digest}'"
    assert policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["require-trusted-types-for"] == "'script'"
    # No handler and no style in a tag, and no other host.
    assert not re.search(r"\s(on\w+|style)=|//", page.text)
    assert not re.search(r"unsafe|http|\*", page.headers["content-security-policy"])


@pytest.mark.parametrize(
    "path",
    [
        "/web/0123456789abcdef/page.css",
        "/web/{version}/index.html",
        "/web/{version}/lock.json",
        "/web/{version}/vendor.py",
        "/web/{version}/../gateway/app.py",
        "/web/{version}/%2e%2e/pyproject.toml",
        "/web/{version}",
        "/web",
    ],
)
async def test_no_other_file_is_served(client, path):
    answer = await client.get(path.format(version=read_page().version))
    assert_problem(answer, 404, "not_found")
    assert answer.headers["cache-control"] == "no-store"


async def test_the_page_needs_no_key_and_all_that_it_asks_does(start):
    client = await start(auth="required")
    assert (await client.get("/")).status_code == 200
    assert (await client.get(f"/web/{read_page().version}/app/main.js")).status_code == 200
    assert (await client.get("/api/v1/pipelines")).status_code == 401


async def test_another_content_is_another_address(tmp_path):
    for name in ("index.html", "page.css"):
        (tmp_path / name).write_bytes((FOLDER / name).read_bytes())
    first = read_page(tmp_path).version
    other = tmp_path / "other"
    other.mkdir()
    (other / "index.html").write_bytes((FOLDER / "index.html").read_bytes())
    (other / "page.css").write_text("body { color: black }", "utf-8")
    assert read_page(other).version != first
