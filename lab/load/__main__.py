"""`python -m lab.load`: a load generator that reads commands as JSON lines and answers each.

The first line says whom to ask (`Target`); each further one is a command: `first` waits for the
first answer, `check` asks about every photo, `warm` sends a wave that does not count, `cell`
and `closed` measure a closed loop, `scheduled` an open one. It ends with its input.
"""

import asyncio
import gc
import json
import os
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import uvloop

from lab.load.client import Client, RequestError
from lab.load.closed_loop import TOLERANCE, LoopResult, difference, differences, loop
from lab.load.grpc import PROBABILITIES, GrpcClient
from lab.load.http import HttpClient, upload
from lab.load.http_connections import PooledHttpClient
from lab.load.scheduled import End, Limits, send

_PAUSE = 0.05
_PRECEDENCE = -5
"""Niceness of a generator whose requests are due at moments."""
_WAVE = 4
"""Requests of the shortest warm-up."""


@dataclass(frozen=True)
class Target:
    """Whom to ask, about what, and what is right."""

    protocol: str
    port: int
    path: str
    """Of the URL; over gRPC the model's name."""
    parameters: dict[str, str]
    """Of each request, over gRPC."""
    classes: list[str]
    photos: str
    """A folder of JPEGs, asked in the order of their names."""
    reference: list[list[float]]
    """Numbers of each photo's right answer."""
    headers: dict[str, str] = field(default_factory=dict)
    """Of each request; over gRPC its metadata."""
    outputs: list[str] = field(default_factory=lambda: list(PROBABILITIES))
    """That are asked for, over gRPC."""

    def client(self, *, pooled: bool = False) -> Client:
        """Not yet opened; `pooled` takes any number of workers."""
        photos = [path.read_bytes() for path in sorted(Path(self.photos).glob("*.jpg"))]
        if self.protocol == "grpc":
            return GrpcClient(
                self.port,
                self.path,
                self.parameters,
                photos,
                outputs=self.outputs,
                metadata=self.headers,
            )
        requests = [upload(self.path, [photo], headers=self.headers) for photo in photos]
        kind = PooledHttpClient if pooled else HttpClient
        return kind(self.port, requests, self.classes)


class Generator:
    """Obeys commands, one after another."""

    def __init__(self, target: Target) -> None:
        self._target, self._client = target, target.client()
        self._photos = len(target.reference)

    async def obey(self, command: dict[str, Any]) -> dict[str, Any]:
        """Does what `command` asks for; its `what` is the name of a method."""
        match command.pop("what"):
            case "first":
                return await self._first(**command)
            case "check":
                return await self._check(**command)
            case "warm":
                return await self._warm(**command)
            case "cell":
                return await self._cell(**command)
            case "closed":
                return await self._closed(**command)
            case "scheduled":
                return await self._scheduled(**command)
            case what:
                raise ValueError(f"no such command: {what}")

    async def _first(self, timeout: float) -> dict[str, Any]:  # noqa: ASYNC109 - of many tries
        """Tries until a photo is answered."""
        until, reason = time.monotonic() + timeout, "no answer"
        while time.monotonic() < until:
            try:
                await self._client.open(1)
                cell = await loop(self._client, self._photos, 1, fewest=1)
                at = time.monotonic()
                await self._client.close()
                if cell.answers:
                    return {"at": at, "apart": max(self._apart(cell))}
                reason = next(iter(cell.errors))
            except RequestError as error:
                reason = str(error)
            await asyncio.sleep(_PAUSE)
        return {"failed": reason}

    async def _check(self, concurrency: int) -> dict[str, Any]:
        await self._client.open(concurrency)
        cell = await loop(self._client, self._photos, concurrency, fewest=self._photos)
        await self._client.close()
        return {"apart": max(self._apart(cell), default=0.0), "errors": dict(cell.errors)}

    async def _warm(self, concurrency: int) -> dict[str, Any]:
        await self._client.open(concurrency)
        await loop(self._client, self._photos, concurrency, fewest=max(_WAVE, concurrency))
        return {}

    async def _cell(self, concurrency: int, seconds: float) -> dict[str, Any]:
        """After `warm` with the same concurrency, on its connections."""
        gc.disable()
        cell = await loop(self._client, self._photos, concurrency, seconds=seconds)
        gc.enable()
        await self._client.close()
        wrong = sum(apart > TOLERANCE for apart in self._apart(cell))
        p50, p99 = np.percentile(cell.latencies, [50, 99]) if cell.latencies else (None, None)
        return {
            "images": len(cell.answers) - wrong,
            "wrong": wrong,
            "errors": cell.errors.total(),
            "error": next(iter(cell.errors), None),
            "seconds": cell.seconds,
            "p50_ms": p50 and p50 * 1000,
            "p99_ms": p99 and p99 * 1000,
            "generator_cpu_seconds": cell.cpu_seconds,
        }

    async def _closed(self, concurrency: int, seconds: float, fewest: int) -> dict[str, Any]:
        """A closed loop with the latency of each answer, after a wave that does not count."""
        await self._warm(concurrency)
        gc.disable()
        cell = await loop(self._client, self._photos, concurrency, seconds=seconds, fewest=fewest)
        gc.enable()
        await self._client.close()
        return {
            "latencies": cell.latencies,
            "wrong": sum(apart > TOLERANCE for apart in self._apart(cell)),
            "errors": cell.errors.total(),
            "error": next(iter(cell.errors), None),
            "seconds": cell.seconds,
            "generator_cpu_seconds": cell.cpu_seconds,
        }

    async def _scheduled(self, gaps: list[float], limits: dict[str, Any]) -> dict[str, Any]:
        """An open loop: what became of each request, by when it was due."""
        _take_precedence()
        client = self._target.client(pooled=True)
        await client.open(_WAVE)
        await loop(client, self._photos, _WAVE, fewest=2 * _WAVE)
        gc.disable()
        cpu = time.process_time()
        outcome = await send(client, self._photos, gaps, Limits(**limits))
        cpu = time.process_time() - cpu
        gc.enable()
        if not outcome.pending:
            await client.close()
        for each in outcome.sent:
            expected = self._target.reference[each.photo]
            if each.end is End.ANSWERED and difference(client, each.answer, expected) > TOLERANCE:
                each.end = End.WRONG
        return {
            "due": [each.due for each in outcome.sent],
            "late": [each.late for each in outcome.sent],
            "took": [each.took for each in outcome.sent],
            "end": [each.end for each in outcome.sent],
            "reason": next((each.reason for each in outcome.sent if each.reason), None),
            "stopped": outcome.stopped,
            "pending": outcome.pending,
            "generator_cpu_seconds": cpu,
        }

    def _apart(self, cell: LoopResult) -> list[float]:
        return differences(self._client, cell, self._target.reference)


def _take_precedence() -> None:
    """The generator goes before the server where it may: callers have machines of their own."""
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, _PRECEDENCE)


async def main() -> None:
    """Obeys until the input ends."""
    generator = Generator(Target(**json.loads(sys.stdin.readline())))
    print(json.dumps({"ready": True}), flush=True)  # noqa: T201 - the answers are the output
    while line := await asyncio.to_thread(sys.stdin.readline):
        print(json.dumps(await generator.obey(json.loads(line))), flush=True)  # noqa: T201


if __name__ == "__main__":
    uvloop.run(main())
