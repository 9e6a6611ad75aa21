"""JSON bodies that hold images, in base64 or as data: URLs."""

import binascii
import json
import re
from contextlib import suppress
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gateway.errors import Code, RefusedError

_DATA_URL = re.compile(r"data:[^,]{0,200};base64,", re.IGNORECASE)
_URL_SAFE = str.maketrans("-_", "+/")


class ImageBody(BaseModel):
    """One image."""

    model_config = ConfigDict(extra="forbid", strict=True)

    image: str = Field(description="The encoded image in base64; a data: URL is taken too.")


class NamedImage(ImageBody):
    """One image of a batch."""

    filename: str | None = Field(
        default=None, max_length=1024, description="Comes back with the image's answer."
    )


class ImagesBody(BaseModel):
    """Many images."""

    model_config = ConfigDict(extra="forbid", strict=True)

    images: list[NamedImage]


Body = TypeVar("Body", ImageBody, ImagesBody)


def parse(model: type[Body], data: bytearray) -> Body:
    """A JSON body of the given shape, in UTF-8, UTF-16 or UTF-32.

    Raises:
        RefusedError: it is not JSON, or has another shape.
    """
    encoding = json.detect_encoding(data)
    try:
        return model.model_validate_json(data if encoding == "utf-8" else data.decode(encoding))
    except UnicodeDecodeError:
        raise _no_json() from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    kind, path = first["type"], _path(first["loc"])
    if kind == "json_invalid":
        raise _no_json()
    if kind == "missing":
        raise RefusedError(Code.FIELD_MISSING, f"{path}: missing. Send the image in base64.")
    if kind == "extra_forbidden":
        # The key is the caller's text and is not repeated.
        raise RefusedError(
            Code.PARAMETER_UNKNOWN,
            f"{_path(first['loc'][:-1])}: it has an unknown key. "
            "Remove it; parameters go into the query string.",
        )
    raise RefusedError(
        Code.MALFORMED_BODY, f"{path}: it has the wrong type. See /docs for the shape."
    )


def image_bytes(text: str, where: str) -> bytes:
    """Decodes base64 or base64url, with or without its padding; white space in it is ignored.

    Raises:
        RefusedError: it is not base64.
    """
    header = _DATA_URL.match(text)
    encoded = "".join((text[header.end() :] if header else text).split()).translate(_URL_SAFE)
    digits = encoded.rstrip("=")
    padding, missing = len(encoded) - len(digits), -len(digits) % 4
    if padding in {0, missing}:
        with suppress(ValueError):
            return binascii.a2b_base64(digits + "=" * missing, strict_mode=True)
    raise RefusedError(
        Code.MALFORMED_BODY, f"{where}: it is not valid base64. Encode the file's bytes anew."
    )


def _no_json() -> RefusedError:
    return RefusedError(Code.MALFORMED_BODY, "body: it is not valid JSON. Send a JSON object.")


def _path(location: tuple[int | str, ...]) -> str:
    text = ""
    for step in location:
        text += f"[{step}]" if isinstance(step, int) else f".{step}"
    return text.removeprefix(".") or "body"
