"""Messages of the protocol, off and onto the wire."""

from typing import Any

from google.protobuf.message import DecodeError

from gateway.errors import Code, RefusedError

Message = Any
"""A protobuf message; its classes have no types."""

_VERSION = "1"
"""Triton's of every ensemble. What really decided, the output `release` says."""


def parsed(kind: Message, raw: bytes) -> Message:
    """A message of a kind.

    Raises:
        RefusedError: with `malformed_body`.
    """
    try:
        return kind.FromString(raw)
    except DecodeError:
        raise RefusedError(
            Code.MALFORMED_BODY, f"request: it is no {kind.DESCRIPTOR.name}. Send one."
        ) from None


def serialised(message: Message) -> bytes:
    """A message's bytes."""
    raw: bytes = message.SerializeToString()
    return raw


def check_version(version: str) -> None:
    """Refuses a version of a pipeline's model that there is not.

    Raises:
        RefusedError: with `pipeline_unknown`.
    """
    if version not in {"", _VERSION}:
        raise RefusedError(
            Code.PIPELINE_UNKNOWN, "model_version: there is no such version. Leave it empty."
        )
