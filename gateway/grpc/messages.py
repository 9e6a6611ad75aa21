"""Parses and serialises the messages of the protocol."""

from typing import Any

from google.protobuf.message import DecodeError

from gateway.errors import Code, RefusedError

Message = Any
"""A protobuf message; its classes have no types."""


def parse(message_type: Message, raw: bytes) -> Message:
    """Parses a message of a type.

    Raises:
        RefusedError: with `malformed_body`.
    """
    try:
        return message_type.FromString(raw)
    except DecodeError:
        raise RefusedError(
            Code.MALFORMED_BODY,
            f"request: it is not a valid {message_type.DESCRIPTOR.name}. Send one.",
        ) from None


def serialise(message: Message) -> bytes:
    """A message's bytes."""
    raw: bytes = message.SerializeToString()
    return raw
