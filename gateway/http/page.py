"""The page at `/` and its files, which have addresses that change with their content."""

import base64
import gzip
import hashlib
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import Response

from gateway.errors import Code, RefusedError

FOLDER = Path(__file__).parents[2] / "web"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""Files of other kinds are not served."""
_START, _MAIN = "index.html", "app/main.js"
_IMPORTED = re.compile(r'\bfrom "(\.[^"]+)"')
_IMPORT_MAP = re.compile(r'<script type="importmap">(.*?)</script>', re.DOTALL)
_FOREVER = "public, max-age=31536000, immutable"
_VERSION_LENGTH = 16


@dataclass(frozen=True, slots=True)
class File:
    """A file as it is sent: plain, or to those who take it compressed."""

    media_type: str
    plain: bytes
    compressed: bytes

    def response(self, request: Request, **headers: str) -> Response:
        """The file, with headers whose names have `_` for `-`."""
        takes = request.headers.get("accept-encoding", "")
        compressed = re.search(r"\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))", takes) is not None
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        sent["vary"] = "accept-encoding"
        if compressed:
            sent["content-encoding"] = "gzip"
        content = self.compressed if compressed else self.plain
        return Response(content, headers=sent, media_type=self.media_type)


@dataclass(frozen=True, slots=True)
class Page:
    """The page's files."""

    start: File
    policy: str
    """What browsers may load for it: the files, photos that the user chose, and nothing inline
    but the import map."""
    version: str
    """Of all files together."""
    files: dict[str, File]
    """By their path below the folder."""


@cache
def read_page(folder: Path = FOLDER) -> Page:
    """Reads and compresses all files, once.

    Raises:
        OSError: a file cannot be read.
    """
    found = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.suffix in _TYPES
    }
    digest = hashlib.sha256()
    for name, data in found.items():
        digest.update(f"{name} {len(data)}\n".encode() + data)
    version = digest.hexdigest()[:_VERSION_LENGTH]
    modules = "\n".join(
        f'<link rel="modulepreload" href="web/{version}/{name}">' for name in sorted(_first(found))
    )
    text = (folder / _START).read_text("utf-8")
    text = text.replace("{modules}", modules).replace("{version}", version)
    (import_map,) = _IMPORT_MAP.findall(text)
    inline = base64.b64encode(hashlib.sha256(import_map.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'self' 'sha256-{inline}'; style-src 'self'; "
        "img-src 'self' blob:; connect-src 'self'; form-action 'none'; base-uri 'none'; "
        "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )
    files = {name: _file(_TYPES[Path(name).suffix], data) for name, data in found.items()}
    return Page(_file("text/html; charset=utf-8", text.encode()), policy, version, files)


def page_routes() -> APIRouter:
    """The page, and its files. They say nothing of this service, so they need no key."""
    page = read_page()
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    async def start(request: Request) -> Response:
        request.state.context.quiet = True
        return page.start.response(
            request, content_security_policy=page.policy, cache_control="no-cache"
        )

    @router.get("/web/{version}/{name:path}")
    async def file(request: Request, version: str, name: str) -> Response:
        request.state.context.quiet = True
        if version != page.version or name not in page.files:
            raise RefusedError(Code.NOT_FOUND, "path: the page has no such file. Load it again.")
        return page.files[name].response(request, cache_control=_FOREVER)

    return router


def _first(files: Mapping[str, bytes]) -> set[str]:
    """The modules that the page needs at first: others are fetched when a part is opened."""
    needed = {name for name in files if name.startswith("vendor/") and name.endswith("js")}
    waiting = [_MAIN] if _MAIN in files else []
    while waiting:
        name = waiting.pop()
        needed.add(name)
        imported = _IMPORTED.findall(files[name].decode("utf-8"))
        paths = {posixpath.normpath(posixpath.join(posixpath.dirname(name), to)) for to in imported}
        waiting += paths - needed
    return needed


def _file(media_type: str, data: bytes) -> File:
    # Without the time: the same file is the same bytes.
    return File(media_type, data, gzip.compress(data, mtime=0))
