"""What waits to be written: put in by the event loop, taken by the writer's thread."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from database.chain import Receipt
from database.own_chain import Row

Then = Callable[[Connection, Sequence[Receipt]], None]
"""Writes more in the transaction of rows, whose receipts it is given."""
_MOST_AT_ONCE = 512


@dataclass(slots=True)
class Job:
    """Rows of the chain, or a function of the connection; written whole or not at all."""

    rows: Sequence[Row] = ()
    then: Then | None = None
    function: Callable[[Connection], Any] | None = None
    future: asyncio.Future[Any] | None = None
    since: float = field(default_factory=time.monotonic)
    receipts: list[Receipt] = field(default_factory=list)
    tried: bool = False
    """It failed alone once."""
    result: Any = None
    error: Exception | None = None

    @property
    def size(self) -> int:
        """Rows that it counts as."""
        return max(1, len(self.rows))


class WriteQueue:
    """Jobs that wait, and those that the thread has and has not resolved."""

    def __init__(self) -> None:
        self._jobs: deque[Job] = deque()
        self._condition = threading.Condition()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.waiting = 0
        """Rows of jobs that are not resolved."""
        self.closing = False
        """Nothing comes any more."""

    def open(self) -> None:
        """Those who await jobs run in the current event loop."""
        self._loop = asyncio.get_running_loop()

    def close(self) -> None:
        """Nothing comes any more; who takes is woken."""
        with self._condition:
            self.closing = True
            self._condition.notify()

    def put(self, job: Job) -> None:
        """Adds a job."""
        with self._condition:
            self._jobs.append(job)
            self.waiting += job.size
            self._condition.notify()

    def take(self, kept: list[Job], pause: float | None) -> list[Job] | None:
        """Waits for jobs; returns those that are kept, and the new ones. None: it is all over.

        Args:
            kept: jobs to be tried again.
            pause: seconds to wait instead where nothing can be written now; else None.
        """
        with self._condition:
            while not (self._jobs or kept or self.closing) and pause is None:
                self._condition.wait()
            if self.closing and not self._jobs and not kept:
                return None
            if pause is not None:
                self._condition.wait(pause)
            while self._jobs and len(kept) < _MOST_AT_ONCE:
                kept.append(self._jobs.popleft())
        return kept

    def resolve(self, jobs: Sequence[Job]) -> None:
        """Lets those go on who wait for jobs."""
        with self._condition:
            self.waiting -= sum(job.size for job in jobs)
        awaited = [job for job in jobs if job.future is not None]
        if awaited and self._loop is not None:
            # Once the event loop is closed nobody waits any more.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(_settle, awaited)


def _settle(jobs: Sequence[Job]) -> None:
    for job in jobs:
        if job.future is None or job.future.done():
            continue
        if job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.receipts if job.function is None else job.result)
