"""`/openapi.json`, and Swagger UI at `/docs`, whose files come from the gateway itself."""

from importlib.resources import files
from pathlib import Path

from fastapi import APIRouter, Depends, Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response

from gateway.errors import Code, RefusedError
from gateway.http.access import Access

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


def docs_routes(access: Access) -> APIRouter:
    """The OpenAPI document, the page that shows it, and the page's files."""
    router = APIRouter(include_in_schema=False, dependencies=[Depends(access)])

    @router.get("/openapi.json")
    async def document(request: Request) -> Response:
        return JSONResponse(request.app.openapi())

    @router.get("/docs")
    async def page(request: Request) -> Response:
        html = _PAGE.format(root=request.scope.get("root_path", ""))
        return HTMLResponse(html, headers={"Content-Security-Policy": _POLICY})

    @router.get("/docs/start.js")
    async def start() -> Response:
        return Response(_START, media_type="text/javascript")

    @router.get("/docs/{name}")
    async def file(name: str) -> Response:
        if name not in _FILES:
            raise RefusedError(Code.NOT_FOUND, "path: there is no such route; /docs lists them.")
        return FileResponse(_FOLDER / name, media_type=_FILES[name])

    return router
