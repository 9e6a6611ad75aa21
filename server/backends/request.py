"""Reads tensors and parameters of a Triton request. Runs in Triton: it needs pb_utils."""

import math
from typing import Any, TypeAlias

import triton_python_backend_utils as pb_utils
from numpy.typing import NDArray

from inference.errors import RefusedError
from server.backends.failure import Response, refused
from server.backends.parameters import ParameterRules, RequestParameters, parse

Request: TypeAlias = Any
"""pb_utils.InferenceRequest, which exists inside Triton only."""
Array: TypeAlias = NDArray[Any]


def parameters(request: Request, rules: ParameterRules) -> RequestParameters | Response:
    """A request's parameters, or the response that refuses it."""
    try:
        return rules.read(parse(request.parameters()))
    except RefusedError as error:
        return refused(error).response()


def seconds_allowed(request: Request) -> float:
    """How long the caller waits for a request in all, in seconds; infinite where it does not say.

    Triton gives each step of an ensemble the whole of it, however long those before took.
    """
    microseconds = int(request.timeout())
    return microseconds / 1e6 if microseconds else math.inf


def tensor(request: Request, name: str) -> Array:
    """An input that every request has."""
    array: Array = pb_utils.get_input_tensor_by_name(request, name).as_numpy()
    return array
