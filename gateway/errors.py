"""The refusals of a request: a closed set of codes, with their HTTP and gRPC statuses."""

import traceback
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated, Self

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict


class Code(StrEnum):
    """The reason of a refusal. The codes of `protocol.Refusal` are a part of these."""

    MALFORMED_BODY = "malformed_body"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    PIPELINE_UNKNOWN = "pipeline_unknown"
    MEMBER_UNKNOWN = "member_unknown"
    RELEASE_UNKNOWN = "release_unknown"
    PREDICTION_UNKNOWN = "prediction_unknown"
    IMAGE_NOT_KEPT = "image_not_kept"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    TOO_SLOW = "too_slow"
    HEAD_TOO_LARGE = "head_too_large"
    BODY_TOO_LARGE = "body_too_large"
    IMAGE_TOO_LARGE = "image_too_large"
    TOO_MANY_FILES = "too_many_files"
    CONTENT_TYPE_UNSUPPORTED = "content_type_unsupported"
    IMAGE_FORMAT = "image_format"
    FIELD_MISSING = "field_missing"
    IMAGE_EMPTY = "image_empty"
    IMAGE_UNDECODABLE = "image_undecodable"
    IMAGE_TOO_COSTLY = "image_too_costly"
    IMAGE_SHAPE = "image_shape"
    IMAGE_QUALITY = "image_quality"
    IMAGES_MANY = "images_many"
    FEEDBACK_INVALID = "feedback_invalid"
    PARAMETER_INVALID = "parameter_invalid"
    PARAMETER_UNKNOWN = "parameter_unknown"
    RELEASE_REFUSED = "release_refused"
    IDEMPOTENCY_MISMATCH = "idempotency_mismatch"
    IDEMPOTENCY_IN_FLIGHT = "idempotency_in_flight"
    BUSY = "busy"
    RATE_LIMITED = "rate_limited"
    BUDGET_SPENT = "budget_spent"
    INTERNAL = "internal"
    MODEL_OUTPUT = "model_output"
    TOO_MANY_CONNECTIONS = "too_many_connections"
    UNAVAILABLE = "unavailable"
    OUT_OF_MEMORY = "out_of_memory"
    DEADLINE = "deadline"


class RefusedError(Exception):
    """A request, or one image of a batch, that gets no answer.

    `detail` names the input and the remedy. It never has anything that the caller sent.
    """

    def __init__(
        self,
        code: Code,
        detail: str,
        *,
        retry_after: int | None = None,
        reason: str | None = None,
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.reason = reason
        """Label in `gateway_requests_refused_total`; None where it is not counted there."""
        self.retry_after = retry_after or RETRY_AFTER_SECONDS.get(code)
        """Seconds until another try may succeed; None where trying again does not help."""

    def forget_origin(self) -> Self:
        """This, without its traceback and the error before it.

        Their frames hold the images. What notes a refusal is often held by them too: the images
        would be kept until the garbage collector finds them.
        """
        self.__context__ = None
        return self.with_traceback(None)

    def message(self, request_id: str = "") -> str:
        """One line: the code in brackets, then the detail; with the id where the detail asks."""
        text = f"[{self.code}] {self.detail}"
        return f"{text} request_id: {request_id}" if "request_id" in self.detail else text


def too_large(where: str, limit: int) -> RefusedError:
    """Refuses a body or an image of more than `limit` bytes."""
    return RefusedError(
        Code.BODY_TOO_LARGE, f"{where}: it has more than {limit} bytes. Send a smaller one."
    )


class CallerGoneError(Exception):
    """The caller hung up, so there is no one to answer."""


_TABLE: dict[Code, tuple[HTTPStatus, str]] = {
    Code.MALFORMED_BODY: (HTTPStatus.BAD_REQUEST, "The body cannot be read"),
    Code.UNAUTHORIZED: (HTTPStatus.UNAUTHORIZED, "Credentials are needed"),
    Code.FORBIDDEN: (HTTPStatus.FORBIDDEN, "The credentials do not allow it"),
    Code.NOT_FOUND: (HTTPStatus.NOT_FOUND, "There is no such route"),
    Code.PIPELINE_UNKNOWN: (HTTPStatus.NOT_FOUND, "There is no such pipeline"),
    Code.MEMBER_UNKNOWN: (HTTPStatus.NOT_FOUND, "There is no such member"),
    Code.RELEASE_UNKNOWN: (HTTPStatus.NOT_FOUND, "No such release is loaded"),
    Code.PREDICTION_UNKNOWN: (HTTPStatus.NOT_FOUND, "There is no such prediction"),
    Code.IMAGE_NOT_KEPT: (HTTPStatus.NOT_FOUND, "The image is not kept"),
    Code.METHOD_NOT_ALLOWED: (HTTPStatus.METHOD_NOT_ALLOWED, "The route has no such method"),
    Code.TOO_SLOW: (HTTPStatus.REQUEST_TIMEOUT, "The request came too slowly"),
    Code.HEAD_TOO_LARGE: (
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        "The target and the headers are too large",
    ),
    Code.BODY_TOO_LARGE: (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The body is too large"),
    Code.IMAGE_TOO_LARGE: (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The image has too many pixels"),
    Code.TOO_MANY_FILES: (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "There are too many files"),
    Code.CONTENT_TYPE_UNSUPPORTED: (
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "The content type is not supported",
    ),
    Code.IMAGE_FORMAT: (HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The image format is not supported"),
    Code.FIELD_MISSING: (HTTPStatus.UNPROCESSABLE_ENTITY, "A field is missing"),
    Code.IMAGE_EMPTY: (HTTPStatus.UNPROCESSABLE_ENTITY, "The image is empty"),
    Code.IMAGE_UNDECODABLE: (HTTPStatus.UNPROCESSABLE_ENTITY, "The image cannot be decoded"),
    Code.IMAGE_TOO_COSTLY: (HTTPStatus.UNPROCESSABLE_ENTITY, "The image costs too much to decode"),
    Code.IMAGE_SHAPE: (HTTPStatus.UNPROCESSABLE_ENTITY, "The image is too long and narrow"),
    Code.IMAGE_QUALITY: (HTTPStatus.UNPROCESSABLE_ENTITY, "The photo is too poor for an answer"),
    Code.IMAGES_MANY: (HTTPStatus.UNPROCESSABLE_ENTITY, "There is more than one image"),
    Code.FEEDBACK_INVALID: (
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "The feedback does not fit the pipeline",
    ),
    Code.PARAMETER_INVALID: (HTTPStatus.UNPROCESSABLE_ENTITY, "A parameter is not allowed"),
    Code.PARAMETER_UNKNOWN: (HTTPStatus.UNPROCESSABLE_ENTITY, "A parameter is unknown"),
    Code.IDEMPOTENCY_MISMATCH: (
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "The idempotency key is of another request",
    ),
    Code.IDEMPOTENCY_IN_FLIGHT: (
        HTTPStatus.CONFLICT,
        "A request with the idempotency key is not answered yet",
    ),
    Code.RELEASE_REFUSED: (HTTPStatus.CONFLICT, "The releases cannot be changed so"),
    Code.BUSY: (HTTPStatus.TOO_MANY_REQUESTS, "The service is busy"),
    Code.BUDGET_SPENT: (HTTPStatus.TOO_MANY_REQUESTS, "The caller's budget is spent"),
    Code.RATE_LIMITED: (HTTPStatus.TOO_MANY_REQUESTS, "The caller's rate is used up"),
    Code.INTERNAL: (HTTPStatus.INTERNAL_SERVER_ERROR, "The service failed"),
    Code.MODEL_OUTPUT: (HTTPStatus.INTERNAL_SERVER_ERROR, "A model gave no usable number"),
    Code.TOO_MANY_CONNECTIONS: (
        HTTPStatus.SERVICE_UNAVAILABLE,
        "Too many connections are open",
    ),
    Code.UNAVAILABLE: (HTTPStatus.SERVICE_UNAVAILABLE, "The service is unavailable"),
    Code.OUT_OF_MEMORY: (HTTPStatus.SERVICE_UNAVAILABLE, "The models have no memory left"),
    Code.DEADLINE: (HTTPStatus.GATEWAY_TIMEOUT, "The deadline passed"),
}
_GRPC: dict[HTTPStatus, str] = {
    HTTPStatus.BAD_REQUEST: "INVALID_ARGUMENT",
    HTTPStatus.UNAUTHORIZED: "UNAUTHENTICATED",
    HTTPStatus.FORBIDDEN: "PERMISSION_DENIED",
    HTTPStatus.NOT_FOUND: "NOT_FOUND",
    HTTPStatus.METHOD_NOT_ALLOWED: "UNIMPLEMENTED",
    HTTPStatus.REQUEST_TIMEOUT: "DEADLINE_EXCEEDED",
    HTTPStatus.CONFLICT: "ABORTED",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "INVALID_ARGUMENT",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "INVALID_ARGUMENT",
    HTTPStatus.UNPROCESSABLE_ENTITY: "INVALID_ARGUMENT",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: "INVALID_ARGUMENT",
    HTTPStatus.TOO_MANY_REQUESTS: "RESOURCE_EXHAUSTED",
    HTTPStatus.INTERNAL_SERVER_ERROR: "INTERNAL",
    HTTPStatus.SERVICE_UNAVAILABLE: "UNAVAILABLE",
    HTTPStatus.GATEWAY_TIMEOUT: "DEADLINE_EXCEEDED",
}
RETRY_AFTER_SECONDS: dict[Code, int] = {
    Code.IDEMPOTENCY_IN_FLIGHT: 1,
    Code.BUSY: 1,
    Code.RATE_LIMITED: 1,
    Code.BUDGET_SPENT: 1,
    Code.TOO_MANY_CONNECTIONS: 2,
    Code.UNAVAILABLE: 2,
    Code.OUT_OF_MEMORY: 2,
}
"""Seconds after which a caller may try again, for the codes where trying again helps."""


def status_of(code: Code) -> int:
    """The HTTP status of a code."""
    return int(_TABLE[code][0])


def grpc_status_of(code: Code) -> str:
    """The name of a code's gRPC status."""
    return _GRPC[_TABLE[code][0]]


@with_config(ConfigDict(extra="forbid"))
class ProblemDetail(TypedDict):
    """A problem document (RFC 9457) about one image of a batch."""

    type: str
    title: str
    status: int
    code: str
    detail: Annotated[str, Field(description="Names the input and the remedy.")]


@with_config(ConfigDict(extra="forbid"))
class Problem(ProblemDetail):
    """A problem document (RFC 9457)."""

    request_id: str


def problem(code: Code, detail: str) -> ProblemDetail:
    """The problem document of a refusal, but for the request's id."""
    status, title = _TABLE[code]
    return {
        "type": f"urn:second-opinion:problem:{code}",
        "title": title,
        "status": int(status),
        "code": str(code),
        "detail": detail,
    }


def exception_location(error: BaseException) -> str:
    """File and line that raised. The text of an exception may hold data of a request."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "unknown"
