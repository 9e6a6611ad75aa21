"""`/docs`: Swagger UI, whose files come from the gateway, so that no other host is asked."""

from importlib.resources import files
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import FileResponse, HTMLResponse, Response

from gateway.errors import Code, RefusedError

# The package is used for its files alone.
_FOLDER = Path(str(files("fastapi_offline"))) / "static"
_FILES = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon.png": "image/png",
}
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Second Opinion</title>
<link rel="stylesheet" href="{root}/docs/swagger-ui.css">
<link rel="icon" href="{root}/docs/favicon.png">
</head>
<body>
<div id="swagger-ui" data-document="{root}/openapi.json"></div>
<script src="{root}/docs/swagger-ui-bundle.js"></script>
<script src="{root}/docs/start.js"></script>
</body>
</html>
"""
# Without `validatorUrl` the document would be sent to a validator on the internet.
_START = """const place = document.getElementById("swagger-ui");
SwaggerUIBundle({ domNode: place, url: place.dataset.document, validatorUrl: null });
"""
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def docs_routes() -> APIRouter:
    """The page and its files."""
    router = APIRouter(prefix="/docs", include_in_schema=False)

    @router.get("")
    async def page(request: Request) -> Response:
        html = _PAGE.format(root=request.scope.get("root_path", ""))
        return HTMLResponse(html, headers={"Content-Security-Policy": _POLICY})

    @router.get("/start.js")
    async def start() -> Response:
        return Response(_START, media_type="text/javascript")

    @router.get("/{name}")
    async def file(name: str) -> Response:
        if name not in _FILES:
            raise RefusedError(Code.NOT_FOUND, "path: there is no such route; /docs lists them.")
        return FileResponse(_FOLDER / name, media_type=_FILES[name])

    return router
