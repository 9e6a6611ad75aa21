"""The OpenAPI document, with bodies and errors that the routes parse and write themselves."""

from functools import cache
from http import HTTPStatus
from typing import Any, get_args

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter
from pydantic.json_schema import models_json_schema

from gateway.core.request import KEEP_IMAGE, RELEASE, RESPOND_WITHIN, SIGNED_RECEIPT, SUBJECT
from gateway.errors import RETRY_AFTER_SECONDS, Problem, status_of
from gateway.feedback.finding import Feedback
from gateway.http.json_body import ImageBody, ImagesBody
from gateway.http.problems import MEDIA_TYPE
from gateway.results.shapes import BatchProblem
from gateway.results.task_handlers import Form, shapes_of
from pipelines.release import IDENTITY

_ABOUT_IMAGES = "x-about-images"
"""Marks operations that take images, until their answers' headers are written."""
_COMPONENT = "#/components/schemas/{model}"
_BINARY = {"type": "string", "format": "binary"}
_REQUEST_ID = {
    "name": "X-Request-ID",
    "in": "header",
    "description": "The caller's own id of the request; one of another form is replaced.",
    "schema": {"type": "string", "pattern": r"^[A-Za-z0-9._-]{1,64}$"},
}
NAMED_RELEASE = {
    "name": RELEASE,
    "in": "header",
    "description": "For the role `operate`: the loaded release that is to answer, such as the "
    "candidate, whatever its share of the callers. Others get 403.",
    "schema": {"type": "string", "pattern": f"^{IDENTITY}$"},
}
_PARAMETERS = [
    _REQUEST_ID,
    {
        "name": KEEP_IMAGE,
        "in": "header",
        "description": "`yes` consents that the images are kept, where the pipeline keeps any; "
        "`kept` of the answer says whether they are.",
        "schema": {"type": "string", "enum": ["yes", "no"]},
    },
    {
        "name": SIGNED_RECEIPT,
        "in": "header",
        "description": "`yes` asks for a signature of each receipt.",
        "schema": {"type": "string", "enum": ["yes", "no"]},
    },
    {
        "name": SUBJECT,
        "in": "header",
        "description": "Whose images they are, in the caller's own words: while two releases "
        "answer, one of them answers all of a subject. It is not stored.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[ -~]+$"},
    },
    NAMED_RELEASE,
    {
        "name": RESPOND_WITHIN,
        "in": "header",
        "description": "Milliseconds within which the caller wants its answer, in place of the "
        "pipeline's `respond_within_ms`. Who gives more time comes after the others.",
        "schema": {"type": "integer", "minimum": 1, "maximum": 86_400_000},
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
        "name": "explain",
        "in": "query",
        "description": "Classification, one image, where the pipeline has `explanation`: show "
        "where each member looked. It counts as many images to the caller's rate.",
        "schema": {"type": "boolean"},
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


def _header(description: str, schema: dict[str, Any], *, required: bool = False) -> dict[str, Any]:
    return {"description": description, "required": required, "schema": schema}


_TEXT = {"type": "string"}
_OF_EVERY_ANSWER = {
    "X-Request-ID": _header(
        "The request's id: the caller's own, or a new one.", _TEXT, required=True
    )
}
_OF_ANSWERS_ABOUT_IMAGES = {
    "RateLimit": _header(
        "Where the caller has a rate: `r` images are left, and in `t` seconds more are: "
        '`"images";r=57;t=12`.',
        _TEXT,
    ),
    "RateLimit-Policy": _header(
        'Where the caller has a rate: `q` images in any `w` seconds: `"images";q=60;w=60`.', _TEXT
    ),
    "Budget-Warning": _header("Where little of the caller's budget is left, or none.", _TEXT),
    "Idempotency-Replayed": _header(
        "The answer is the one that an earlier request with the same Idempotency-Key got.",
        {"type": "string", "enum": ["true"]},
    ),
}
_RETRY_AFTER = _header(
    "Seconds after which to send the request again.", {"type": "integer", "minimum": 1}
)
_AGAIN = {str(status_of(code)) for code in RETRY_AFTER_SECONDS}
"""Statuses of which each answer says when to come again."""
_CHALLENGE = _header("Which credentials are taken.", _TEXT)


def _request(content: dict[str, Any]) -> dict[str, Any]:
    return {
        "parameters": _PARAMETERS,
        _ABOUT_IMAGES: True,
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


_NAMED: tuple[Any, ...] = (Problem, BatchProblem, *dict.fromkeys(map(shapes_of, Form)))
"""Shapes that routes name. As models FastAPI would analyse them anew for each route."""


def _named(shape: object) -> dict[str, Any]:
    """A response's content: a shape of `_NAMED`, or a union of such."""
    found = [{"$ref": _COMPONENT.format(model=one.__name__)} for one in get_args(shape) or (shape,)]
    return {"application/json": {"schema": found[0] if len(found) == 1 else {"anyOf": found}}}


def answer_of(form: Form) -> dict[str, Any]:
    """The response of OpenAPI with answers of a form."""
    return {"description": "Successful Response", "content": _named(shapes_of(form))}


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
    status: {"description": description, "content": _named(Problem)}
    for status, description in _DESCRIPTIONS.items()
}
BATCH_PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"description": description, "content": _named(BatchProblem | Problem)}
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
        schemas |= _components()
        # FastAPI adds its own 422 to each route with parameters; here each has a problem document.
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        for operations in made["paths"].values():
            for operation in operations.values():
                own = _OF_ANSWERS_ABOUT_IMAGES if operation.pop(_ABOUT_IMAGES, False) else {}
                operation["responses"] = _own_responses(operation["responses"], own)
        app.openapi_schema = made
    return app.openapi_schema


@cache
def _components() -> dict[str, Any]:
    """The schemas of bodies and answers that routes name."""
    _, bodies = models_json_schema(
        [(body, "validation") for body in (ImageBody, ImagesBody, Feedback)],
        ref_template=_COMPONENT,
    )
    _, answers = TypeAdapter.json_schemas(
        [(shape, "serialization", TypeAdapter(shape)) for shape in _NAMED], ref_template=_COMPONENT
    )
    return {**bodies["$defs"], **answers["$defs"]}


def _own_responses(responses: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Without FastAPI's own 422, with problems under their content type, and with headers."""
    kept = {}
    for status, response in sorted(responses.items()):
        if "HTTPValidationError" in str(response.get("content")):
            continue
        made = kept[status] = response | {"headers": _headers(status, own)}
        if status >= "400":
            (content,) = response["content"].values()
            made["content"] = {MEDIA_TYPE: content}
    return kept


def _headers(status: str, own: dict[str, Any]) -> dict[str, Any]:
    """Those of an answer, with those of its operation's own."""
    found = {**_OF_EVERY_ANSWER, **own}
    if status in _AGAIN:
        found["Retry-After"] = _RETRY_AFTER
    if status == str(HTTPStatus.UNAUTHORIZED):
        found["WWW-Authenticate"] = _CHALLENGE
    return found
