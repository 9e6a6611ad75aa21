"""The OpenAPI description of bodies and errors that the routes parse and write themselves."""

from typing import Any

from gateway.errors import Problem
from gateway.http.json_body import ImageBody, ImagesBody
from gateway.http.problems import MEDIA_TYPE
from gateway.results.shapes import BatchProblem

_BINARY = {"type": "string", "format": "binary"}
_PARAMETERS = [
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
        "application/json": ImageBody.model_json_schema(),
    }
)
MANY_IMAGES = _request(
    {
        "multipart/form-data": _form("files", {"type": "array", "items": _BINARY}),
        "application/json": ImagesBody.model_json_schema(),
    }
)


def problem_of(shape: object, description: str) -> dict[str, Any]:
    """One response of OpenAPI: a problem document of a shape."""
    return {"model": shape, "content": {MEDIA_TYPE: {}}, "description": description}


_DESCRIPTIONS = {
    400: "The body cannot be read.",
    401: "An API key is needed.",
    404: "No such pipeline or member.",
    413: "Body, image or number of files over the limit.",
    415: "No content type, or no image format, that is read.",
    422: "The image cannot be decoded, or a field or parameter is wrong.",
    429: "Busy: wait as Retry-After says.",
    500: "The service failed, or a model gave no usable number.",
    503: "The models are unavailable: wait as Retry-After says.",
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
