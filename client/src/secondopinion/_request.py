"""One HTTP request, as data."""

from dataclasses import dataclass, field
from typing import TypedDict

Files = list[tuple[str, tuple[str, bytes]]]


class Keywords(TypedDict):
    """Arguments of `httpx.Client.request`."""

    method: str
    url: str
    params: dict[str, str]
    content: bytes | None
    files: Files | None
    headers: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to send, once per attempt."""

    method: str
    path: str
    query: dict[str, str] = field(default_factory=dict)
    content: bytes | None = None
    content_type: str | None = None
    files: Files | None = None
    once_by_key: bool = False
    """Whether the service may be told by a key that further attempts are the same request."""
    idempotency_key: str | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def as_keywords(self) -> Keywords:
        """The arguments of `httpx.Client.request`."""
        # A multipart body brings its own content type, with its boundary.
        headers = {"Content-Type": self.content_type, "Idempotency-Key": self.idempotency_key}
        return {
            "method": self.method,
            "url": self.path,
            "params": self.query,
            "content": self.content,
            "files": self.files,
            "headers": self.headers | {name: value for name, value in headers.items() if value},
        }
