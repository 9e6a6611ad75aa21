"""One failure of several requests, as Triton's responses. Only inside Triton: it needs pb_utils."""

from typing import Any

import triton_python_backend_utils as pb_utils


def failed(message: str, code: int, count: int) -> list[Any]:
    """Error responses for `count` requests, each with an error object of its own.

    Triton crashes on an error that several responses share, or that came with another response.
    """
    errors = (pb_utils.TritonError(message, code) for _ in range(count))
    return [pb_utils.InferenceResponse(error=error) for error in errors]
