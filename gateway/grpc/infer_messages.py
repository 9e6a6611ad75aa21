"""ModelInferRequest and ModelInferResponse: the request, parsed and checked, and its response."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Self

from tritonclient.grpc import service_pb2

from gateway.core.request import Image, RequestParameters
from gateway.errors import Code, RefusedError
from gateway.grpc.messages import Message, check_version, parse, serialise
from gateway.triton.outputs import Outputs, split_elements
from pipelines import protocol
from pipelines.spec import PipelineSpec

_TIMEOUT = "timeout"
_OUTPUTS = {*protocol.Output, *protocol.Detected}


@dataclass(frozen=True, slots=True)
class InferRequest:
    """A ModelInferRequest; its methods check the parts that they read."""

    _message: Message

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Parses a serialised message.

        Raises:
            RefusedError: with `malformed_body`.
        """
        return cls(parse(service_pb2.ModelInferRequest, raw))

    @property
    def model(self) -> str:
        """The model that is asked."""
        name: str = self._message.model_name
        return name

    @property
    def id(self) -> str:
        """The caller's own name of the request, which the response repeats."""
        name: str = self._message.id
        return name

    @property
    def outputs(self) -> frozenset[str]:
        """The outputs that the response has; none: all."""
        return frozenset(output.name for output in self._message.outputs)

    def timeout(self) -> float:
        """How long the caller waits at most, in seconds.

        Raises:
            RefusedError: it is no number of microseconds.
        """
        if _TIMEOUT not in self._message.parameters:
            return inf
        value = self._message.parameters[_TIMEOUT]
        if value.WhichOneof("parameter_choice") != "int64_param" or value.int64_param < 0:
            raise RefusedError(
                Code.PARAMETER_INVALID, "timeout: it must be microseconds, as int64_param."
            )
        return value.int64_param / 1e6 or inf

    def parameters(self, spec: PipelineSpec) -> RequestParameters:
        """The request's parameters as text. Triton checks their values.

        Raises:
            RefusedError: there is no such parameter, member or version of the model.
        """
        check_version(self._message.model_version)
        pairs = (
            (name, _text(getattr(value, value.WhichOneof("parameter_choice") or "string_param")))
            for name, value in self._message.parameters.items()
            if name != _TIMEOUT
        )
        return RequestParameters.read(pairs, spec)

    def take_images(self, spec: PipelineSpec) -> list[Image]:
        """The encoded images, one or more. The message no longer holds them afterwards.

        Raises:
            RefusedError: they do not come as the one BYTES tensor `image` of shape [n, 1], they
                are too large or too many, or an output is asked for in a way that is not offered.
        """
        self._check_tensors(spec)
        (tensor,) = self._message.inputs
        (count, _) = tensor.shape
        elements = _elements(self._message.raw_input_contents, tensor)
        if len(elements) != count:
            raise RefusedError(
                Code.MALFORMED_BODY,
                f"{protocol.ENCODED_IMAGE}: its bytes are not as many elements as its shape says, "
                "each with its length before it. Send it with a client of the protocol.",
            )
        limit, images = spec.limits.bytes, []
        for index, data in enumerate(elements):
            where = protocol.ENCODED_IMAGE if count == 1 else f"{protocol.ENCODED_IMAGE} {index}"
            if len(data) > limit:
                raise RefusedError(
                    Code.BODY_TOO_LARGE,
                    f"{where}: it has more than {limit} bytes. Send a smaller one.",
                )
            images.append(Image(data, where))
        self._message.ClearField("raw_input_contents")
        self._message.ClearField("inputs")
        return images

    def _check_tensors(self, spec: PipelineSpec) -> None:
        inputs, outputs = self._message.inputs, self._message.outputs
        if [tensor.name for tensor in inputs] != [protocol.ENCODED_IMAGE]:
            raise RefusedError(
                Code.FIELD_MISSING, f"inputs: send one, {protocol.ENCODED_IMAGE}, and no other."
            )
        for tensor in (*inputs, *outputs):
            if tensor.parameters:
                raise RefusedError(
                    Code.PARAMETER_INVALID,
                    "inputs and outputs: shared memory and other parameters of tensors are not "
                    "offered. Send the images' bytes in the request.",
                )
        if any(output.name not in _OUTPUTS for output in outputs):
            raise RefusedError(
                Code.PARAMETER_INVALID,
                "outputs: there is none of this name. ModelMetadata lists them.",
            )
        shape = list(inputs[0].shape)
        if inputs[0].datatype != "BYTES" or shape[1:] != [1] or shape[0] < 1:
            raise RefusedError(
                Code.PARAMETER_INVALID,
                f"{protocol.ENCODED_IMAGE}: it must be BYTES of shape [n, 1], an image an element.",
            )
        if shape[0] > spec.serving.max_batch:
            raise RefusedError(
                Code.TOO_MANY_FILES,
                f"{protocol.ENCODED_IMAGE}: send at most {spec.serving.max_batch} in one request.",
            )


def infer_response(request: InferRequest, rows: Sequence[Outputs]) -> bytes:
    """A serialised ModelInferResponse with the tensors of each image, as Triton made them."""
    first = rows[0]
    response = service_pb2.ModelInferResponse(
        model_name=request.model, model_version=first.model_version, id=request.id
    )
    for name, tensor in first.tensors.items():
        if request.outputs and name not in request.outputs:
            continue
        shape = tensor.shape if len(rows) == 1 else (len(rows), *tensor.shape[1:])
        response.outputs.add(name=name, datatype=tensor.datatype, shape=shape)
        response.raw_output_contents.append(b"".join(row.tensors[name].data for row in rows))
    return serialise(response)


def _text(value: object) -> str:
    """A parameter's value as HTTP would bring it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _elements(raw: Message, tensor: Message) -> list[bytes]:
    """The elements of a BYTES tensor; none where it does not come as the protocol says."""
    typed = tensor.contents.bytes_contents
    if typed and not raw:
        return list(typed)
    return [] if typed or len(raw) != 1 else split_elements(raw[0]) or []
