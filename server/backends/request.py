"""What a Triton request holds. Only inside Triton: it needs pb_utils."""

from typing import Any, TypeAlias

import triton_python_backend_utils as pb_utils
from numpy.typing import NDArray

from inference.errors import RefusedError
from server.backends.choice import Choice, Choices, parse
from server.backends.failure import Response, refused

Request: TypeAlias = Any
"""pb_utils.InferenceRequest, which exists inside Triton only."""
Array: TypeAlias = NDArray[Any]


def chosen(request: Request, choices: Choices) -> Choice | Response:
    """What a request chose, or the response that refuses it."""
    try:
        return choices.read(parse(request.parameters()))
    except RefusedError as error:
        return refused(error).response()


def tensor(request: Request, name: str) -> Array:
    """An input that every request has."""
    array: Array = pb_utils.get_input_tensor_by_name(request, name).as_numpy()
    return array
