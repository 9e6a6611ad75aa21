"""Single requests, at their moments, and what became of each."""

import asyncio
import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from lab.overload.caller import Caller
from loadtest import arrivals, bodies
from loadtest.errors import LoadtestError
from loadtest.photos import Photo
from loadtest.reference import Reference
from loadtest.reply import Reply, read_http, unreachable
from loadtest.study import End
from loadtest.target import Target


@dataclass(frozen=True, slots=True)
class Call:
    """A request that is not repeated; times on `time.perf_counter`, in seconds.

    Attributes:
        end: REPORTED where it was refused.
    """

    intended: float
    ended: float
    end: End
    fault: str = ""

    @property
    def seconds(self) -> float:
        """From the intended moment on."""
        return self.ended - self.intended


class Questions:
    """Asks about one photo after another, and compares the answers."""

    def __init__(self, caller: Caller, target: Target, photos: Sequence[Photo]) -> None:
        self._caller, self._pipeline = caller, target.pipeline
        self._reference = Reference()
        path = f"/api/v1/pipelines/{target.pipeline}/predict"
        self._requests = [(photo, caller.post(path, bodies.raw(photo))) for photo in photos]
        self._next = itertools.cycle(self._requests)

    async def learn(self) -> None:
        """Takes the unloaded service's answers as the right ones.

        Raises:
            LoadtestError: there is none.
        """
        for photo, request in self._requests:
            reply = await self._ask(request)
            if reply.fault:
                raise LoadtestError(
                    f"{photo.name}: no answer from the unloaded service ({reply.fault}). "
                    "Name other images with --photos, or look at its log"
                )
            self._reference.learn(photo, reply.verdicts[0])

    async def call(self, intended: float | None = None) -> Call:
        """One request; raises nothing."""
        photo, request = next(self._next)
        start = time.perf_counter() if intended is None else intended
        reply = await self._ask(request)
        ended = time.perf_counter()
        if reply.refused:
            return Call(start, ended, End.REPORTED, reply.fault)
        fault = reply.fault or self._reference.fault([photo], reply.verdicts)
        return Call(start, ended, End.WRONG if fault else End.ANSWERED, fault)

    async def ready(self) -> bool:
        """Whether `/readyz` says 200."""
        try:
            answer = await self._caller.send(self._caller.get("/readyz"))
        except (OSError, EOFError, ValueError):
            return False
        return answer.status == HTTPStatus.OK

    async def _ask(self, request: bytes) -> Reply:
        try:
            answer = await self._caller.send(request)
        except (OSError, EOFError, ValueError) as error:
            return unreachable(error)
        return read_http(answer.status, answer.retry_after, answer.body, self._pipeline, None)


class Flood:
    """Requests by a schedule that no answer delays."""

    def __init__(self, questions: Questions) -> None:
        self._questions = questions
        self._under_way: set[asyncio.Task[None]] = set()
        self.calls: list[Call] = []
        """Those that have ended, in the order of their ends."""

    async def pour(self, gaps: Iterator[float], seconds: float) -> None:
        """Begins requests for so long; returns without waiting for the last answers."""
        start = time.perf_counter()
        for moment in arrivals.intended(gaps, start):
            if moment > start + seconds:
                break
            await asyncio.sleep(max(0.0, moment - time.perf_counter()))
            task = asyncio.create_task(self._one(moment))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def drain(self) -> None:
        """Waits until all that was begun has ended."""
        while self._under_way:
            await asyncio.wait(self._under_way)

    async def _one(self, moment: float) -> None:
        self.calls.append(await self._questions.call(moment))
