"""Request bodies in all forms that the gateway accepts."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass

from loadtest.photos import Photo

_BOUNDARY = "3f7c2a51d0b94e68"


@dataclass(frozen=True, slots=True)
class Body:
    """A body and its content type."""

    content_type: str
    data: bytes


def raw(photo: Photo) -> Body:
    """The image's bytes alone."""
    return Body("application/octet-stream", photo.data)


def as_json(photo: Photo) -> Body:
    """The image in base64, in JSON."""
    text = base64.b64encode(photo.data).decode("ascii")
    return Body("application/json", json.dumps({"image": text}).encode())


def form(field: str, photos: Sequence[Photo]) -> Body:
    """The images as files of a form, all under one field name."""
    parts = [
        b'--%b\r\nContent-Disposition: form-data; name="%b"; filename="%b"\r\n'
        b"Content-Type: application/octet-stream\r\n\r\n%b\r\n"
        % (_BOUNDARY.encode(), field.encode(), photo.name.encode(), photo.data)
        for photo in photos
    ]
    end = f"--{_BOUNDARY}--\r\n".encode()
    return Body(f"multipart/form-data; boundary={_BOUNDARY}", b"".join([*parts, end]))
