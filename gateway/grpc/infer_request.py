"""What a caller asks in a ModelInferRequest, and whether that is offered here."""

import struct
from math import inf

from tritonclient.grpc import service_pb2

from gateway.core.parameters import Choices
from gateway.errors import Code, RefusedError
from gateway.grpc.message import Message, check_version, parsed
from gateway.http.body import Image
from pipelines import protocol
from pipelines.spec import PipelineSpec

_TIMEOUT = "timeout"
_OUTPUTS = {*protocol.Output, *protocol.Detected}


class InferRequest:
    """Parsed once, to be judged; what goes on to Triton are the bytes as they came."""

    def __init__(self, raw: bytes) -> None:
        """Reads a serialised message.

        Raises:
            RefusedError: it is none.
        """
        self._message: Message = parsed(service_pb2.ModelInferRequest, raw)
        self.raw = raw

    @property
    def model(self) -> str:
        """The model that is asked."""
        name: str = self._message.model_name
        return name

    @property
    def whole(self) -> bool:
        """Whether all outputs are asked for."""
        return not self._message.outputs

    def patience(self) -> float:
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

    def choices(self, spec: PipelineSpec) -> Choices:
        """The caller's choices for this request; their values Triton judges.

        Raises:
            RefusedError: there is no such parameter, member or version of the model.
        """
        check_version(self._message.model_version)
        pairs = (
            (name, str(getattr(value, value.WhichOneof("parameter_choice") or "string_param")))
            for name, value in self._message.parameters.items()
            if name != _TIMEOUT
        )
        return Choices.read(pairs, spec)

    def images(self, spec: PipelineSpec) -> list[Image]:
        """The encoded images, one or more.

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


def _elements(raw: Message, tensor: Message) -> list[bytes]:
    """The elements of a BYTES tensor; none where it does not come as the protocol says."""
    typed = tensor.contents.bytes_contents
    if typed and not raw:
        return list(typed)
    if typed or len(raw) != 1:
        return []
    data: bytes = raw[0]
    elements, start = [], 0
    while start + 4 <= len(data):
        (size,) = struct.unpack_from("<I", data, start)
        start += 4 + size
        elements.append(data[start - size : start])
    return elements if start == len(data) else []
