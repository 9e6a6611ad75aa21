"""The OpenAPI document, with bodies and errors that the routes parse and write themselves."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from gateway.errors import Problem
from gateway.feedback.finding import Feedback
from gateway.http.json_body import ImageBody, ImagesBody
from gateway.http.problems import MEDIA_TYPE
from gateway.results.shapes import BatchProblem

_COMPONENT = "#/components/schemas/{model}"
_BINARY = {"type": "string", "format": "binary"}
_PARAMETERS = [
    {
        "name": "X-Keep-Image",
        "in": "header",
        "description": "`yes` consents that the images are kept, where the pipeline keeps any; "
        "`kept` of the answer says whether they are.",
        "schema": {"type": "string", "enum": ["yes", "no"]},
    },
    {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "Requests with the same key are one prediction, and get the same answer.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    },
    {
        "name": "threshold",
        "in": "query",
        "description": "Binary classification, detection, segmentation: another threshold, "
        "within the pipeline's bounds.",
        "schema": {"type": "number"},
    },
    {
        "name": "top_k",
        "in": "query",
        "description": "Multi-class classification: show the most probable classes only.",
        "schema": {"type": "integer", "minimum": 1},
    },
    {
        "name": "member",
        "in": "query",
        "description": "Ask one member alone.",
        "schema": {"type": "string"},
    },
    {
        "name": "visualization",
        "in": "query",
        "description": "Detection, segmentation, one image: draw what was found.",
        "schema": {"type": "boolean"},
    },
    {
        "name": "polygons",
        "in": "query",
        "description": "Segmentation: outline the masks.",
        "schema": {"type": "boolean"},
    },
]


def _request(content: dict[str, Any]) -> dict[str, Any]:
    return {
        "parameters": _PARAMETERS,
        "requestBody": {
            "required": True,
            "content": {kind: {"schema": schema} for kind, schema in content.items()},
        },
    }


def _form(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": [name], "properties": {name: schema}}


ONE_IMAGE = _request(
    {
        "multipart/form-data": _form("file", _BINARY),
        "image/*": _BINARY,
        "application/octet-stream": _BINARY,
        "application/json": {"$ref": _COMPONENT.format(model=ImageBody.__name__)},
    }
)
MANY_IMAGES = _request(
    {
        "multipart/form-data": _form("files", {"type": "array", "items": _BINARY}),
        "application/json": {"$ref": _COMPONENT.format(model=ImagesBody.__name__)},
    }
)


def problem_of(shape: object, description: str) -> dict[str, Any]:
    """One response of OpenAPI: a problem document of a shape."""
    return {"model": shape, "description": description}


_DESCRIPTIONS = {
    400: "The request or its body cannot be read.",
    401: "No credentials, or none that are known.",
    403: "The credentials do not cover the pipeline, or lack the role.",
    404: "No such pipeline, member or prediction, or no kept image.",
    408: "The request came too slowly.",
    409: "A request with the same Idempotency-Key is not answered yet: wait as Retry-After says.",
    413: "Body, image or number of files over the limit.",
    415: "No content type, or no image format, that is read.",
    422: "The image cannot be decoded, or a field or parameter is wrong.",
    431: "Target and headers over the limit.",
    429: "Busy: wait as Retry-After says.",
    500: "The service failed, or a model gave no usable number.",
    503: "The service is unavailable, or too many connections are open: wait as Retry-After says.",
    504: "The deadline passed.",
}
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: problem_of(Problem, description) for status, description in _DESCRIPTIONS.items()
}
BATCH_PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: problem_of(BatchProblem | Problem, description)
    for status, description in _DESCRIPTIONS.items()
}
"""Of a batch: with `results` and `summary` where its images were read and none was answered."""


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The responses of OpenAPI with these statuses, and with those of every route."""
    return {status: PROBLEMS[status] for status in sorted({400, 408, 431, 500, 503, *statuses})}


def document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document of the application, made once."""
    if app.openapi_schema is None:
        made = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        schemas = made["components"]["schemas"]
        schemas |= models_json_schema(
            [(body, "validation") for body in (ImageBody, ImagesBody, Feedback)],
            ref_template=_COMPONENT,
        )[1]["$defs"]
        # FastAPI adds its own 422 to each route with parameters; here each has a problem document.
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        for operations in made["paths"].values():
            for operation in operations.values():
                operation["responses"] = _own_responses(operation["responses"])
        app.openapi_schema = made
    return app.openapi_schema


def _own_responses(responses: dict[str, Any]) -> dict[str, Any]:
    """Without FastAPI's own 422, and with problems under their content type."""
    kept = {}
    for status, response in sorted(responses.items()):
        if "content" not in response:
            kept[status] = response
            continue
        content = response["content"]
        if "HTTPValidationError" in str(content):
            continue
        if status >= "400":
            (content,) = content.values()
            content = {MEDIA_TYPE: content}
        kept[status] = response | {"content": content}
    return kept
