"""JSON bodies that hold images, in base64 or as data: URLs."""

from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gateway.errors import Code, RefusedError
from gateway.http.json_reader import no_json


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


def parse(model: type[Body], content: bytes) -> Body:
    """A JSON body of the given shape, in UTF-8.

    Raises:
        RefusedError: it is not JSON, or has another shape.
    """
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    kind, path = first["type"], _path(first["loc"])
    if kind == "json_invalid":
        raise no_json()
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


def _path(location: tuple[int | str, ...]) -> str:
    text = ""
    for step in location:
        text += f"[{step}]" if isinstance(step, int) else f".{step}"
    return text.removeprefix(".") or "body"
