"""The context of one request, over HTTP or gRPC: its id, and what is known about it so far."""

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from gateway.core.request import Image, image_format
from gateway.errors import RefusedError
from gateway.telemetry.metrics import NO_PIPELINE

HEADER = "x-request-id"
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(slots=True)
class RequestContext:
    """Filled in by whoever handles the request; never with data of an image or its file name."""

    request_id: str
    started: float = field(default_factory=time.perf_counter)
    route: str = "none"
    pipeline: str = NO_PIPELINE
    caller: str | None = None
    """Name of the API key, where keys are configured."""
    refusal: RefusedError | None = None
    """Why the request as a whole got no answer."""
    gone: bool = False
    """The caller hung up before the answer."""
    quiet: bool = False
    """A probe or a scrape: neither logged nor counted."""
    prediction: bool = False
    """A request about images of a known pipeline."""
    facts: dict[str, Any] = field(default_factory=dict)
    """More for the log line: bytes, format, images, failed."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Time of each stage."""

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measures the time of what runs inside, also where it fails."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = time.perf_counter() - start

    def received(self, images: Sequence[Image], *, batch: bool) -> None:
        """Notes size and format of the image of a request, or size and number of its images."""
        self.facts["bytes"] = sum(len(image.data) for image in images)
        if batch:
            self.facts["images"] = len(images)
        else:
            self.facts["format"] = image_format(images[0].data)

    def elapsed(self) -> float:
        """Seconds since the request's headers."""
        return time.perf_counter() - self.started

    @property
    def outcome(self) -> str:
        """`ok`, `gone` or a problem's code."""
        if self.gone:
            return "gone"
        return self.refusal.code if self.refusal else "ok"


def request_id(sent: str | None) -> str:
    """The caller's id of the request where it has the form of one, else a new one."""
    return sent if sent and _ID.fullmatch(sent) else uuid4().hex
