"""Sends single requests and compares their answers with those of the unloaded service."""

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

from lab.load.client import RequestError
from lab.load.http_connections import HttpConnections
from loadtest import bodies
from loadtest.errors import LoadtestError
from loadtest.photos import Photo
from loadtest.prediction import Reference
from loadtest.reply import Reply, read_http
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


class ComparedRequests:
    """Asks about one photo after another, and compares the answers."""

    def __init__(
        self, connections: HttpConnections, target: Target, photos: Sequence[Photo]
    ) -> None:
        self._connections, self._pipeline = connections, target.pipeline
        self._reference = Reference()
        path = f"/api/v1/pipelines/{target.pipeline}/predict"
        body = [(photo, bodies.raw(photo)) for photo in photos]
        self._requests = [
            (photo, connections.post(path, raw.content_type, raw.data)) for photo, raw in body
        ]
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
            self._reference.learn(photo, reply.predictions[0])

    async def call(self, intended: float | None = None) -> Call:
        """One request; raises nothing."""
        photo, request = next(self._next)
        start = time.perf_counter() if intended is None else intended
        reply = await self._ask(request)
        ended = time.perf_counter()
        if reply.refused:
            return Call(start, ended, End.REPORTED, reply.fault)
        fault = reply.fault or self._reference.fault([photo], reply.predictions)
        return Call(start, ended, End.WRONG if fault else End.ANSWERED, fault)

    async def ready(self) -> bool:
        """Whether `/readyz` says 200."""
        try:
            answer = await self._connections.send(self._connections.get("/readyz"))
        except RequestError:
            return False
        return answer.status == HTTPStatus.OK

    async def _ask(self, request: bytes) -> Reply:
        try:
            answer = await self._connections.send(request)
        except RequestError as error:
            return Reply(fault=f"no answer: {error}", repeatable=True)
        return read_http(answer.status, answer.retry_after, answer.body, self._pipeline, None)
