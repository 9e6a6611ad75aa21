"""Failures of requests as Triton's responses. Only inside Triton: it needs pb_utils."""

import traceback
from dataclasses import dataclass
from typing import Any, TypeAlias

import triton_python_backend_utils as pb_utils

from inference.errors import RefusedError
from pipelines.protocol import Refusal

Response: TypeAlias = Any
"""pb_utils.InferenceResponse, which exists inside Triton only."""


@dataclass(frozen=True)
class Failure:
    """A message and Triton's code for it, of which any number of responses can be made."""

    message: str
    code: int

    def response(self) -> Response:
        """An error response, with an error object of its own.

        Triton crashes on an error that several responses share, or that came with another response.
        """
        error = pb_utils.TritonError(self.message, self.code)
        return pb_utils.InferenceResponse(error=error)


def refused(error: RefusedError) -> Failure:
    """The failure of a request that is refused: a member's fault or the caller's."""
    codes = pb_utils.TritonError
    code = codes.INTERNAL if error.code is Refusal.MODEL_OUTPUT else codes.INVALID_ARG
    return Failure(str(error), code)


def unexpected(model: str, error: Exception) -> Failure:
    """The failure of a request for a reason that nobody thought of.

    The log is told the kind of the error and the line that raised it, the caller neither: an
    error's words may hold what a request held.
    """
    last = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{last.name}, {last.filename}:{last.lineno}"
    pb_utils.Logger.log_error(f"{model}: {type(error).__name__} in {place}")
    message = f"{model}: the request failed; the server's log says where"
    return Failure(message, pb_utils.TritonError.INTERNAL)
