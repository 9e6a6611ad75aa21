"""One request and its answer: what is known about it so far, for its log line and the metrics."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from starlette.types import Scope

from gateway.errors import Code
from gateway.telemetry.metrics import NO_PIPELINE

HEADER = b"x-request-id"
_KEY = "gateway.telemetry.request_context"
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(slots=True)
class Exchange:
    """Filled in by whoever handles the request; never with anything of the image or its name."""

    request_id: str
    started: float = field(default_factory=time.perf_counter)
    route: str = "none"
    pipeline: str = NO_PIPELINE
    code: Code | None = None
    gone: bool = False
    """The caller hung up before the answer."""
    quiet: bool = False
    """A probe or a scrape: neither logged nor counted."""
    prediction: bool = False
    facts: dict[str, Any] = field(default_factory=dict)
    """More for the log line: caller, bytes, format, images."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Time of each stage."""

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Takes the time of what runs inside, also where it fails."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = time.perf_counter() - start

    def elapsed(self) -> float:
        """Seconds since the request's headers."""
        return time.perf_counter() - self.started

    @property
    def outcome(self) -> str:
        """`ok`, `gone` or a problem's code."""
        if self.gone:
            return "gone"
        return self.code or "ok"


def request_id(sent: str | None) -> str:
    """The caller's own name of a request where it has a fitting one, else a new one."""
    return sent if sent and _ID.fullmatch(sent) else uuid4().hex


def begin(scope: Scope) -> Exchange:
    """Starts the record of a request; takes the caller's request id where it has one."""
    sent = [value for name, value in scope["headers"] if name == HEADER]
    exchange = Exchange(request_id(sent[0].decode("latin-1") if len(sent) == 1 else None))
    scope[_KEY] = exchange
    return exchange


def exchange_of(scope: Scope) -> Exchange:
    """The record of a request that has begun."""
    exchange: Exchange = scope[_KEY]
    return exchange
