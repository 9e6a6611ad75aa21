"""Sends requests in a closed loop over HTTP, and measures the service's processes meanwhile."""

import gc
import threading
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import uvloop

from lab.load.client import RequestError
from lab.load.closed_loop import LoopResult, loop
from lab.load.http import HttpClient
from lab.service.service import Service

_SAMPLE_EVERY = 1.0
_BUSY = "status 429"
_CLOSED = "connection was closed"


@dataclass(frozen=True)
class Measured:
    """What came back of one loop, and what it took."""

    requests: int
    """Answered."""
    refused: int
    """Status 429: more than may be in flight."""
    errors: dict[str, int]
    """Others, by the first words of each."""
    seconds: float
    p50_ms: float | None
    p99_ms: float | None
    cpu_seconds: dict[str, float]
    """Of the service by role."""
    generator_cpu_seconds: float
    pss_mib: dict[str, float]
    """Of the service by role, at the largest sum of all samples; empty where none were taken."""

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


def measure(
    service: Service,
    requests: Sequence[bytes],
    *,
    concurrency: int,
    seconds: float,
    fewest: int = 1,
    warm: int = 1,
    memory: bool = True,
) -> Measured:
    """Sends requests in turn, each caller again when answered.

    Args:
        service: a running one.
        requests: whole HTTP requests.
        concurrency: callers.
        seconds: after which nothing more is asked; what is under way is finished.
        fewest: requests that are asked however long they take.
        warm: requests sent before, which do not count.
        memory: whether to look at the service's memory, which takes a few percent of a core.
    """
    client = _Client(service.ports.gateway_port, requests)

    async def run() -> LoopResult:
        await client.open(concurrency)
        await loop(client, len(requests), min(concurrency, warm), fewest=warm)
        gc.collect()
        before = service.cpu_seconds()
        with _Sampler(service) if memory else nullcontext() as sampler:
            cell = await loop(client, len(requests), concurrency, seconds=seconds, fewest=fewest)
        after = service.cpu_seconds()
        taken.update({name: after[name] - before.get(name, 0.0) for name in after})
        largest.update(sampler.largest if sampler else {})
        await client.close()
        return cell

    taken: dict[str, float] = {}
    largest: dict[str, float] = {}
    cell = uvloop.run(run())
    p50, p99 = np.percentile(cell.latencies, [50, 99]) * 1000 if cell.latencies else (None, None)
    return Measured(
        requests=len(cell.answers),
        refused=sum(count for text, count in cell.errors.items() if text.startswith(_BUSY)),
        errors=_shortened(cell.errors),
        seconds=cell.seconds,
        p50_ms=p50,
        p99_ms=p99,
        cpu_seconds=taken,
        generator_cpu_seconds=cell.cpu_seconds,
        pss_mib=largest,
    )


class _Client(HttpClient):
    """Sends a request once more where the server had just ended a connection that was idle."""

    async def ask(self, worker: int, photo: int) -> bytes:
        """See `Client`."""
        try:
            return await super().ask(worker, photo)
        except RequestError as error:
            if _CLOSED not in str(error):
                raise
            return await super().ask(worker, photo)


@dataclass
class _Sampler:
    """Looks at the service's memory while it is asked, from a thread of its own."""

    service: Service
    largest: dict[str, float] = field(default_factory=dict)

    def __enter__(self) -> Self:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _sample(self) -> None:
        over = False
        while not over:
            over = self._over.wait(_SAMPLE_EVERY)
            found = self.service.pss_mib()
            if sum(found.values()) > sum(self.largest.values()):
                self.largest = found


def _shortened(errors: Counter[str]) -> dict[str, int]:
    """Without what differs from request to request."""
    short: Counter[str] = Counter()
    for text, count in errors.items():
        if not text.startswith(_BUSY):
            short[text.partition(":")[0]] += count
    return dict(short)
