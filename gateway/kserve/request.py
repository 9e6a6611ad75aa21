"""An inference request of the protocol, as gRPC or HTTP read it; it checks the parts that it reads.

A tensor is BYTES: each element has its length before it, UINT32, little endian.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf

from gateway.core.request import Image, RequestParameters
from gateway.errors import Code, RefusedError, too_large
from gateway.triton.outputs import BYTES, split_elements
from pipelines.enums import Task
from pipelines.protocol import ENCODED_IMAGE, Detected, Output, Parameter
from pipelines.spec import PipelineSpec

Value = str | int | float | bool | None
"""A parameter's value; None where it has none, or one of another type."""

MODEL_VERSION = "1"
"""Triton's version of every ensemble. The output `release` says which release answered."""
_TIMEOUT = "timeout"
_BINARY_OUTPUT = "binary_data_output"
BINARY_SIZE, _BINARY = "binary_data_size", "binary_data"
_CLASSIFICATION = "classification"
_REASONS = {
    "priority": "requests are answered in the order in which they come",
    **dict.fromkeys(
        ("sequence_id", "sequence_start", "sequence_end"),
        "no pipeline keeps anything from one request to the next",
    ),
}
"""Triton's parameters that no pipeline heeds, and why; 0, false and "" ask for nothing."""


@dataclass(frozen=True, slots=True)
class InputTensor:
    """A tensor of the request."""

    name: str
    datatype: str
    shape: Sequence[int]
    parameters: Mapping[str, Value] = field(default_factory=dict)
    raw: bytes | memoryview | None = None
    """Its elements in binary form."""
    typed: Sequence[bytes] = ()
    """Its elements, where they come one by one."""

    def elements(self, count: int) -> list[bytes]:
        """Its `count` elements.

        Raises:
            RefusedError: it has more or fewer, or its bytes are none.
        """
        size = self.parameters.get(BINARY_SIZE)
        declared = BINARY_SIZE not in self.parameters or (
            isinstance(size, int)
            and not isinstance(size, bool)
            and self.raw is not None
            and size == len(self.raw)
        )
        if self.raw is None:
            elements = list(self.typed)
        else:
            elements = [] if self.typed else split_elements(self.raw, count) or []
        if len(elements) != count or not declared:
            raise RefusedError(
                Code.MALFORMED_BODY,
                f"{ENCODED_IMAGE}: its bytes are not as many elements as its shape says, "
                "each with its length before it. Send it with a client of the protocol.",
            )
        return elements


@dataclass(frozen=True, slots=True)
class RequestedOutput:
    """An output that the response shall have."""

    name: str
    parameters: Mapping[str, Value] = field(default_factory=dict)

    def binary(self, default: bool) -> bool:
        """Whether its data follow the JSON object of a response over HTTP."""
        return bool(self.parameters.get(_BINARY, default))


@dataclass(slots=True)
class InferRequest:
    """A request of either transport."""

    model: str
    version: str
    id: str
    """The caller's own name of the request, which the response repeats."""
    parameters: Mapping[str, Value]
    inputs: list[InputTensor]
    outputs: Sequence[RequestedOutput]
    """Those that the response has; none: all."""

    def timeout(self) -> float:
        """How long the caller waits at most, in seconds.

        Raises:
            RefusedError: it is no number of microseconds.
        """
        value = self.parameters.get(_TIMEOUT, 0)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise RefusedError(
                Code.PARAMETER_INVALID,
                "timeout: it must be microseconds, a whole number of 0 or more.",
            )
        return value / 1e6 or inf

    @property
    def binary_output(self) -> bool:
        """Whether the data of outputs follow the JSON object of a response over HTTP."""
        return bool(self.parameters.get(_BINARY_OUTPUT, False))

    def request_parameters(self, spec: PipelineSpec) -> RequestParameters:
        """The pipeline's parameters as text. Triton checks their values.

        Raises:
            RefusedError: there is no such parameter or member, or a parameter of Triton's asks
                for what is not offered.
        """
        pairs = []
        for name, value in self.parameters.items():
            if name == _TIMEOUT:
                continue
            if name == _BINARY_OUTPUT:
                _check_switch(name, value)
            elif name in _REASONS:
                if value:
                    raise RefusedError(
                        Code.PARAMETER_UNKNOWN, f"{name}: {_REASONS[name]}. Leave it out."
                    )
            elif value is None and name in set(Parameter):
                raise RefusedError(
                    Code.PARAMETER_INVALID,
                    f"{name}: it has no value of a type that is read. Send a string, a number or "
                    "a bool.",
                )
            else:
                pairs.append((name, _text(value)))
        return RequestParameters.read(pairs, spec)

    def take_images(self, spec: PipelineSpec) -> list[Image]:
        """The encoded images, one or more. The request no longer holds them afterwards.

        Raises:
            RefusedError: they do not come as the one BYTES tensor `image` of shape [n, 1], they
                are too large or too many, or an output is asked for that there is not, or in a
                way that is not offered.
        """
        self._check_tensors(spec)
        (tensor,) = self.inputs
        count = tensor.shape[0]
        limit, images = spec.limits.bytes, []
        for index, data in enumerate(tensor.elements(count)):
            where = ENCODED_IMAGE if count == 1 else f"{ENCODED_IMAGE} {index}"
            if len(data) > limit:
                raise too_large(where, limit)
            images.append(Image(data, where))
        self.inputs.clear()
        return images

    def _check_tensors(self, spec: PipelineSpec) -> None:
        if [tensor.name for tensor in self.inputs] != [ENCODED_IMAGE]:
            raise RefusedError(
                Code.FIELD_MISSING, f"inputs: send one, {ENCODED_IMAGE}, and no other."
            )
        (tensor,) = self.inputs
        if set(tensor.parameters) - {BINARY_SIZE}:
            raise _not_offered()
        known = set(_outputs(spec))
        for output in self.outputs:
            _check_output(output, known)
        shape = list(tensor.shape)
        if tensor.datatype != BYTES or shape[1:] != [1] or shape[0] < 1:
            raise RefusedError(
                Code.PARAMETER_INVALID,
                f"{ENCODED_IMAGE}: it must be BYTES of shape [n, 1], an image an element.",
            )
        if shape[0] > spec.serving.max_batch:
            raise RefusedError(
                Code.TOO_MANY_FILES,
                f"{ENCODED_IMAGE}: send at most {spec.serving.max_batch} in one request.",
            )


def check_version(version: str) -> None:
    """Refuses a version of a pipeline's model that does not exist.

    Raises:
        RefusedError: with `pipeline_unknown`.
    """
    if version not in {"", MODEL_VERSION}:
        raise RefusedError(
            Code.PIPELINE_UNKNOWN, "model_version: there is no such version. Leave it empty."
        )


def _outputs(spec: PipelineSpec) -> Sequence[str]:
    if spec.task is Task.CLASSIFICATION:
        return Output.of(explained=spec.explanation is not None)
    return Detected.of(masks=spec.task is Task.SEGMENTATION)


def _check_output(output: RequestedOutput, known: set[str]) -> None:
    if output.parameters.get(_CLASSIFICATION):
        # The most probable class of a binary pipeline is not the one that its threshold decides.
        raise RefusedError(
            Code.PARAMETER_INVALID,
            "classification: it is not offered, as the most probable class may be another than "
            "the one decided at the threshold. Read the output `prediction`.",
        )
    if set(output.parameters) - {_BINARY, _CLASSIFICATION}:
        raise _not_offered()
    _check_switch(_BINARY, output.parameters.get(_BINARY, False))
    if output.name not in known:
        raise RefusedError(
            Code.PARAMETER_INVALID,
            "outputs: the pipeline has none of this name. Its metadata list them.",
        )


def _check_switch(name: str, value: Value) -> None:
    if not isinstance(value, bool):
        raise RefusedError(Code.PARAMETER_INVALID, f"{name}: it must be true or false.")


def _not_offered() -> RefusedError:
    return RefusedError(
        Code.PARAMETER_INVALID,
        "inputs and outputs: shared memory and other parameters of tensors are not offered. "
        "Send the images' bytes in the request.",
    )


def _text(value: Value) -> str:
    """A parameter's value as the query of a prediction over HTTP would bring it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
