"""Turns failures of requests into Triton error responses. Runs in Triton: it needs pb_utils."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import triton_python_backend_utils as pb_utils

from inference.errors import RefusedError
from pipelines import protocol
from pipelines.native_backends import NativeRefusalError
from pipelines.protocol import COSTLY, Refusal, refusal

Response: TypeAlias = Any
"""pb_utils.InferenceResponse, which exists inside Triton only."""


@dataclass(frozen=True)
class Failure:
    """A message and Triton's code, for any number of responses."""

    message: str
    code: int

    def response(self) -> Response:
        """An error response, with an error object of its own.

        Triton crashes on an error that several responses share, or that came with another response.
        """
        error = pb_utils.TritonError(self.message, self.code)
        return pb_utils.InferenceResponse(error=error)


def refused(error: RefusedError) -> Failure:
    """The failure of a refused request: INTERNAL where a member is at fault, else INVALID_ARG."""
    codes = pb_utils.TritonError
    code = codes.INTERNAL if error.code is Refusal.MODEL_OUTPUT else codes.INVALID_ARG
    return Failure(refusal(error.code, error.text), code)


def apart() -> Failure:
    """The failure of a request whose images are to be sent again, apart from others."""
    return Failure(COSTLY, pb_utils.TritonError.INVALID_ARG)


def expired() -> Failure:
    """The failure of a request that waited beyond its deadline, in Triton's words for that."""
    message = "Request timeout expired: costly images came before it"
    return Failure(message, pb_utils.TritonError.UNAVAILABLE)


def not_explained() -> Failure:
    """The failure of a request whose explanation took too long, in words that the gateway knows."""
    return Failure(protocol.EXPLANATION_LATE, pb_utils.TritonError.UNAVAILABLE)


def unexpected(model: str, error: Exception) -> Failure:
    """The failure of a request by an error that no code expects.

    The log gets the error's type and the line that raised it, the caller neither. No one gets its
    message, which may quote the request.
    """
    last = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{last.name}, {last.filename}:{last.lineno}"
    pb_utils.Logger.log_error(f"{model}: {type(error).__name__} in {place}")
    message = f"{model}: the request failed; the server's log says where"
    return Failure(message, pb_utils.TritonError.INTERNAL)


@contextmanager
def refusing_as_native_backends_do() -> Iterator[None]:
    """Makes Triton refuse to load a model that a native backend refuses."""
    try:
        yield
    except NativeRefusalError as error:
        raise pb_utils.TritonModelException(str(error)) from None
