"""Bounds what a ModelInferRequest has besides its images, before protobuf builds objects of it.

Two bytes of a message can become an object of a hundred. So all but the bytes of images must be
small; the encoding is protobuf's (https://protobuf.dev/programming-guides/encoding/).
"""

from collections.abc import Mapping
from typing import cast

from tritonclient.grpc import service_pb2

from gateway.errors import Code, RefusedError
from gateway.settings import AROUND_IMAGES

_VARINT, _FIXED64, _BYTES, _GROUP, _GROUP_END, _FIXED32 = range(6)
_FIXED = {_FIXED64: 8, _FIXED32: 4, _GROUP: 0, _GROUP_END: 0}
_IMAGES = "images"

_Fields = Mapping[int, "str | _Fields"]


def _numbers(message: str) -> Mapping[str, int]:
    fields = service_pb2.DESCRIPTOR.message_types_by_name[message].fields
    return {field.name: field.number for field in fields}


_REQUEST = _numbers("ModelInferRequest")
_TENSOR = service_pb2.ModelInferRequest.InferInputTensor.DESCRIPTOR.fields_by_name
_FIELDS: _Fields = {
    _REQUEST["raw_input_contents"]: _IMAGES,
    _REQUEST["inputs"]: {
        _TENSOR["contents"].number: {_numbers("InferTensorContents")["bytes_contents"]: _IMAGES}
    },
}
"""Where images are: fields by their numbers, those of messages with the fields inside."""


def check_parts(raw: bytes) -> None:
    """Refuses a message of many or large parts that are no images.

    What is no message of protobuf is left to protobuf.

    Raises:
        RefusedError: with `malformed_body`.
    """
    try:
        besides = _besides(memoryview(raw), _FIELDS, AROUND_IMAGES)
    except IndexError:
        return
    if besides > AROUND_IMAGES:
        raise RefusedError(
            Code.MALFORMED_BODY,
            f"request: it has more than {AROUND_IMAGES} bytes besides its images. Send the images "
            "as elements of one BYTES tensor, and fewer of them.",
        )


def _besides(raw: memoryview, fields: _Fields, most: int) -> int:
    """Bytes that belong to no image; counted until they are more than `most`.

    Raises:
        IndexError: it is no message of protobuf.
    """
    position, images = 0, 0
    while position < len(raw) and position - images <= most:
        tag, position = _number(raw, position)
        kind = tag & 7
        if kind == _VARINT:
            _, position = _number(raw, position)
        elif kind == _BYTES:
            size, position = _number(raw, position)
            if position + size > len(raw):
                raise IndexError
            inside = fields.get(tag >> 3)
            if inside is _IMAGES:
                images += size
            elif inside is not None:
                part = raw[position : position + size]
                left = most - (position - images)
                images += size - _besides(part, cast("_Fields", inside), left)
            position += size
        else:
            position += _FIXED.get(kind, 0)
    return position - images


def _number(raw: memoryview, position: int) -> tuple[int, int]:
    """A number of up to ten bytes, and the position behind it."""
    number = 0
    for index in range(10):
        byte = raw[position + index]
        number |= (byte & 127) << 7 * index
        if byte < 128:  # noqa: PLR2004 - the highest bit says that more follow
            return number, position + index + 1
    raise IndexError
