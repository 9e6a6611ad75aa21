"""What tests send and what they expect back."""

import grpc

from gateway.errors import Problem
from gateway.results.shapes import adapter
from tests.unit.gateway.toy_triton import Failure

RAW = {"content-type": "image/jpeg"}
UNAVAILABLE = Failure(grpc.StatusCode.UNAVAILABLE, "Socket closed")
FULL = Failure(grpc.StatusCode.UNAVAILABLE, "Exceeds maximum queue size")
# They begin as images do; whether the rest is one, only a real Triton would judge.

JPEG = b"\xff\xd8\xff" + bytes(100)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


def form(*parts: tuple[str, str | None, bytes], boundary: str = "edge") -> tuple[str, bytes]:
    """Content type and body of a multipart form of (field, filename, data)."""
    body = b""
    for field, filename, data in parts:
        named = "" if filename is None else f'; filename="{filename}"'
        body += f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"{named}'.encode()
        body += b"\r\n\r\n" + data + b"\r\n"
    return f"multipart/form-data; boundary={boundary}", body + f"--{boundary}--\r\n".encode()


def files(*contents):
    return [("files", (f"{index}.jpg", data, "image/jpeg")) for index, data in enumerate(contents)]


def assert_problem(response, status, code):
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document = adapter(Problem).validate_python(
        {name: response.json()[name] for name in Problem.__required_keys__}
    )
    assert (document["status"], document["code"]) == (status, code)
    assert document["request_id"] == response.headers["x-request-id"]
    # Nobody knows when a change of the releases that is refused would not be.
    helps = status in {409, 429, 503} and code != "release_refused"
    assert ("retry-after" in response.headers) == helps
    return document
