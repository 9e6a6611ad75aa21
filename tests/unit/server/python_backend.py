"""What Triton's Python backend gives to a model's code, as strict as the real one.

Backends import it as `triton_python_backend_utils`, which exists inside Triton only. Its classes
are there when a model starts, but not yet when its code is imported (python_backend,
src/pb_stub.cc, `Stub::StubSetup`). The members that a step calls lie on a GPU: what they answer
stays there unless the request asks for CPU memory (src/request_executor.cc and src/pb_tensor.cc,
the same from r24.10 to r26.07).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

TRITONSERVER_MEMORY_CPU, TRITONSERVER_MEMORY_GPU = "cpu", "gpu"
TRITONSERVER_RESPONSE_COMPLETE_FINAL = 1
Arrays = dict[str, np.ndarray]
models: dict[str, Callable[[Arrays], Arrays]] = {}
"""What Triton has loaded: the outputs of a model for its inputs, by the model's name."""
logged: list[str] = []


class TritonModelException(Exception):  # noqa: N818 - its name in Triton
    """As the Python backend raises it."""


class TritonError:
    """An error of one response."""

    UNKNOWN, INTERNAL, NOT_FOUND, INVALID_ARG, UNAVAILABLE = range(5)

    def __init__(self, message: str, code: int = INTERNAL) -> None:
        self._message, self._code = message, code

    def message(self) -> str:
        return self._message

    def code(self) -> int:
        return self._code


class Logger:
    """The server's log."""

    @staticmethod
    def log_error(message: str) -> None:
        logged.append(message)


class PreferredMemory:
    """Where the outputs of a request should lie."""

    def __init__(self, kind: str, device: int = 0) -> None:
        if kind not in (TRITONSERVER_MEMORY_CPU, TRITONSERVER_MEMORY_GPU):
            raise TypeError(f"no kind of memory: {kind}")
        self.kind, self.device = kind, device


class Tensor:
    """A named array, which a model's code can read only where it lies in CPU memory."""

    def __init__(self, name: str, array: np.ndarray) -> None:
        if not name:
            raise TritonModelException("Tensor name cannot be an empty string.")
        self._name, self._array = name, np.ascontiguousarray(array).reshape(array.shape)
        self._memory = TRITONSERVER_MEMORY_CPU

    @classmethod
    def on_gpu(cls, name: str, array: np.ndarray) -> "Tensor":
        tensor = cls(name, array)
        tensor._memory = TRITONSERVER_MEMORY_GPU
        return tensor

    def name(self) -> str:
        return self._name

    def is_cpu(self) -> bool:
        return self._memory == TRITONSERVER_MEMORY_CPU

    def as_numpy(self) -> np.ndarray:
        if not self.is_cpu():
            raise TritonModelException("Tensor is stored in GPU and cannot be converted to NumPy.")
        return self._array


class InferenceResponse:
    """The outputs of a request, or its error."""

    def __init__(
        self, output_tensors: Sequence[Tensor] = (), error: TritonError | None = None
    ) -> None:
        self._tensors, self._error = list(output_tensors), error

    def output_tensors(self) -> list[Tensor]:
        return self._tensors

    def has_error(self) -> bool:
        return self._error is not None

    def error(self) -> TritonError | None:
        return self._error


class InferenceRequest:
    """A call of another model (BLS), all of whose members have a GPU."""

    def __init__(
        self,
        *,
        model_name: str,
        requested_output_names: Sequence[str],
        inputs: Sequence[Tensor],
        preferred_memory: PreferredMemory | None = None,
    ) -> None:
        self._model, self._outputs = model_name, list(requested_output_names)
        self._inputs, self._memory = list(inputs), preferred_memory

    def exec(self) -> InferenceResponse:
        if self._model not in models:
            raise TritonModelException(f"Failed for execute the inference request. {self._model}")
        found = models[self._model]({each.name(): each.as_numpy() for each in self._inputs})
        in_cpu = self._memory is not None and self._memory.kind == TRITONSERVER_MEMORY_CPU
        make = Tensor if in_cpu else Tensor.on_gpu
        return InferenceResponse([make(name, found[name]) for name in self._outputs])


@dataclass(frozen=True)
class Received:
    """A request that Triton hands to a backend; Triton has copied its inputs to CPU memory."""

    inputs: Mapping[str, np.ndarray]
    text: str = ""
    sent: list[InferenceResponse] | None = None
    """Responses that were sent instead of returned, those of all requests in their order."""

    microseconds: int = 0
    """How long its caller waits; 0: it does not say."""

    def get_response_sender(self) -> "Received":
        return self

    def send(self, response: InferenceResponse, flags: int) -> None:
        assert flags == TRITONSERVER_RESPONSE_COMPLETE_FINAL
        assert self.sent is not None
        self.sent.append(response)

    def parameters(self) -> str:
        return self.text

    def timeout(self) -> int:
        return self.microseconds


def _get_input_tensor_by_name(request: Received, name: str) -> Tensor | None:
    return Tensor(name, request.inputs[name]) if name in request.inputs else None


def _get_output_tensor_by_name(response: InferenceResponse, name: str) -> Tensor | None:
    return next((each for each in response.output_tensors() if each.name() == name), None)


def answer(response: Any) -> Arrays:
    """The arrays of a response that is no error."""
    assert not response.has_error(), response.error().message()
    return {each.name(): each.as_numpy() for each in response.output_tensors()}


def imported() -> ModuleType:
    """The module as code finds it that is imported before its model starts."""
    module = ModuleType("triton_python_backend_utils")
    vars(module).update(
        get_input_tensor_by_name=_get_input_tensor_by_name,
        get_output_tensor_by_name=_get_output_tensor_by_name,
        TRITONSERVER_RESPONSE_COMPLETE_FINAL=TRITONSERVER_RESPONSE_COMPLETE_FINAL,
    )
    return module


AT_THE_START: dict[str, Any] = {
    "InferenceRequest": InferenceRequest,
    "InferenceResponse": InferenceResponse,
    "Logger": Logger,
    "PreferredMemory": PreferredMemory,
    "TRITONSERVER_MEMORY_CPU": TRITONSERVER_MEMORY_CPU,
    "TRITONSERVER_MEMORY_GPU": TRITONSERVER_MEMORY_GPU,
    "Tensor": Tensor,
    "TritonError": TritonError,
    "TritonModelException": TritonModelException,
}
"""What the module has as well when a model starts."""
