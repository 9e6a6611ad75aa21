"""The one writer of a gateway: a thread that commits all rows that wait in one transaction.

A commit reaches the disk before those who wait for its rows go on. A row that the database refuses
is refused alone. While nothing can be written, rows wait for a few seconds, then their callers are
told; the thread tries on by itself, and finds out which rows a lost commit had written after all.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, insert

from database.chain import Receipt
from database.outages import DatabaseUnavailableError, RowRefusedError, is_outage
from database.own_chain import OwnChain, Row
from database.tables import predictions
from database.write_queue import Job, Then, WriteQueue

T = TypeVar("T")

CAPACITY = 4096
"""Rows that may wait."""
PATIENCE_SECONDS = 5.0
"""How long a row waits for a database that cannot be written."""
_RETRY_SECONDS = 0.25
_INSERT = insert(predictions)
"""One for all rows: to prepare a new one each time takes a third of the time of writing it."""


class Observer:
    """Told by the writer's thread what it does; does nothing itself."""

    def committed(self, rows: int, seconds: float) -> None:
        """A transaction with so many rows took so long."""

    def failed(self) -> None:
        """A transaction failed because the database could not be written."""

    def refused(self) -> None:
        """The database refused a row."""


class Writer:
    """Owns the only connection by which a gateway writes while it serves."""

    def __init__(
        self,
        engine: Engine,
        gateway: str,
        observer: Observer | None = None,
        *,
        capacity: int = CAPACITY,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        """Prepares a chain of its own; it is begun with the first transaction.

        Args:
            engine: of the database.
            gateway: the gateway's name, with which the chain's begins.
            observer: is told of commits and failures.
            capacity: rows that may wait.
            patience: seconds that rows wait for a database that cannot be written.
        """
        self._engine = engine
        self._observer = observer or Observer()
        self._capacity, self._patience = capacity, patience
        self._chain = OwnChain(gateway)
        self._queue = WriteQueue()
        self._busy_since: float | None = None
        """When the transaction under way was begun."""
        self._connection: Connection | None = None
        self._available = True
        self._thread = threading.Thread(target=self._work, name="database-writer", daemon=True)

    def start(self) -> None:
        """Starts the thread; those who await its work run in the current event loop."""
        self._queue.open()
        self._thread.start()

    async def close(self) -> None:
        """Writes what waits, as long as rows may wait, and ends the thread."""
        self._queue.close()
        await asyncio.to_thread(self._thread.join)

    @property
    def available(self) -> bool:
        """Whether a row that comes now can be expected to be written."""
        since = self._busy_since
        hangs = since is not None and time.monotonic() - since > self._patience
        possible = self._available and not self._queue.closing and not hangs
        return possible and self._queue.waiting < self._capacity

    @property
    def waiting(self) -> int:
        """Rows that wait."""
        return self._queue.waiting

    @property
    def chain(self) -> str:
        """The name of the chain that this start writes."""
        return self._chain.name

    @property
    def receipt(self) -> Receipt | None:
        """The chain's head; None before its first row."""
        return self._chain.receipt

    async def write(self, row: Row) -> Receipt:
        """Writes a row of `predictions`, whose place in the chain the writer fills in.

        Raises:
            DatabaseUnavailableError: it cannot be written now.
            RowRefusedError: the database refuses this row.
        """
        (receipt,) = await self.write_all([row])
        return receipt

    async def write_all(self, rows: Sequence[Row], then: Then | None = None) -> list[Receipt]:
        """Writes rows in one transaction; as `write`.

        Args:
            rows: of `predictions`.
            then: is called in the writer's thread; its writes and the rows are all there or none.
                It may be called again where a transaction failed.

        Raises:
            Exception: what `then` raises; the rows are not written.
        """
        receipts: list[Receipt] = await self._wait_for(Job(rows=rows, then=then))
        return receipts

    async def run(self, function: Callable[[Connection], T]) -> T:
        """Calls a function in the writer's thread and commits what it writes.

        It must be quick, as all rows wait for it. Where it raises, nothing that it wrote stays.

        Raises:
            DatabaseUnavailableError: nothing can be written now.
            Exception: what the function raises.
        """
        result: T = await self._wait_for(Job(function=function))
        return result

    def write_soon(self, row: Row) -> bool:
        """Writes a row that nobody waits for; False where it cannot even wait."""
        if not self.available:
            return False
        self._queue.put(Job(rows=[row]))
        return True

    async def _wait_for(self, job: Job) -> Any:  # noqa: ANN401 - as the job's
        if not self.available:
            raise DatabaseUnavailableError
        job.future = asyncio.get_running_loop().create_future()
        self._queue.put(job)
        try:
            # Longer than the thread takes to give up, unless the database hangs.
            async with asyncio.timeout(2 * self._patience):
                return await job.future
        except TimeoutError:
            raise DatabaseUnavailableError from None

    # From here on: the thread.

    def _work(self) -> None:
        kept: list[Job] = []
        while True:
            taken = self._queue.take(kept, None if self._available else _RETRY_SECONDS)
            if taken is None:
                break
            kept = self._still_patient(taken)
            self._busy_since = time.monotonic()
            if self._available or self._try_writing(kept):
                kept = self._commit([job for job in kept if not self._found(job)])
            self._busy_since = None
        self._disconnect()

    def _commit(self, jobs: Sequence[Job]) -> list[Job]:
        """Writes jobs, in halves where they fail together; returns those to be tried again."""
        if not jobs:
            return []
        try:
            self._transaction(jobs)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is sorted out below
            self._disconnect()
            if not self._try_writing(jobs):
                return self._put_off(jobs)
            jobs = [job for job in jobs if not self._found(job)]
            if self._is_outage(error):
                jobs = self._put_off(jobs)
            if len(jobs) != 1:
                half = len(jobs) // 2
                left = self._commit(jobs[:half])
                others = jobs[half:]
                return left + (self._commit(others) if self._available else self._put_off(others))
            (job,) = jobs
            if self._is_outage(error) and not job.tried:
                job.tried = True
                return self._commit(jobs)
            self._refuse(job, error)
            return []
        self._queue.resolve(jobs)
        return []

    def _transaction(self, jobs: Sequence[Job]) -> None:
        started = time.perf_counter()
        connection = self._connected()
        end = self._chain.end
        with connection.begin():
            waiting: list[dict[str, Any]] = []
            for job in jobs:
                made = self._chain.following(job.rows, end)
                job.receipts = [Receipt(self.chain, r["position"], r["hash"]) for r in made]
                if self._succeeds(job, connection) and made:
                    waiting += made
                    end = job.receipts[-1]
            if waiting:
                connection.execute(_INSERT, waiting)
        self._chain.end = end
        self._observer.committed(len(waiting), time.perf_counter() - started)

    def _succeeds(self, job: Job, connection: Connection) -> bool:
        """Calls a job's function, or what goes with its rows; whether it raised nothing."""
        job.error = None
        if job.function is None and job.then is None:
            return True
        try:
            with connection.begin_nested():
                if job.then is not None:
                    job.then(connection, job.receipts)
                if job.function is not None:
                    job.result = job.function(connection)
        except Exception as error:
            if connection.invalidated or self._is_outage(error):
                raise
            job.error = error
        return job.error is None

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = self._engine.connect()
            with self._connection.begin():
                self._chain.find(self._connection)
            self._chain.found()
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            with suppress(Exception):
                # Not back to the pool: it may be what is broken.
                self._connection.invalidate()
                self._connection.close()
            self._connection = None

    def _try_writing(self, jobs: Sequence[Job]) -> bool:
        """Whether the database takes and keeps as much as a row needs; notes whether it does."""
        before = self._chain.end.position
        try:
            connection = self._connected()
            for present in (True, False):
                with connection.begin():
                    self._chain.write_ballast(connection, present=present)
            with connection.begin():
                receipts = self._chain.written_after(connection, before)
        except Exception:  # noqa: BLE001 - whatever it is, it cannot be written
            self._disconnect()
            self._available = False
            self._observer.failed()
            return False
        for job in jobs:
            # Of a commit that had been done although its answer was lost.
            job.receipts = [receipts[row["id"]] for row in job.rows if row["id"] in receipts]
        self._available = True
        return True

    def _found(self, job: Job) -> bool:
        """Resolves a job whose rows are there already."""
        if not job.rows or len(job.receipts) != len(job.rows):
            return False
        self._queue.resolve([job])
        return True

    def _put_off(self, jobs: Sequence[Job]) -> list[Job]:
        """Rows may be tried again, as it can be told whether they were written; no function."""
        for job in jobs:
            job.receipts = []
            if job.function is not None:
                self._refuse(job, DatabaseUnavailableError())
        return [job for job in jobs if job.function is None]

    def _still_patient(self, jobs: Sequence[Job]) -> list[Job]:
        """Jobs that may go on waiting; tells the others."""
        if self._available:
            return list(jobs)
        oldest = time.monotonic() - self._patience
        for job in jobs:
            if job.since < oldest or self._queue.closing:
                self._refuse(job, DatabaseUnavailableError())
        return [job for job in jobs if job.since >= oldest and not self._queue.closing]

    def _is_outage(self, error: Exception) -> bool:
        """Whether it is the database that fails, and not what was to be written."""
        return is_outage(error, self._engine.dialect.name)

    def _refuse(self, job: Job, error: Exception) -> None:
        if self._is_outage(error):
            error = DatabaseUnavailableError()
        elif job.function is None and not isinstance(error, DatabaseUnavailableError):
            self._observer.refused()
            error = RowRefusedError(type(error).__name__)
        job.error = error.with_traceback(None)
        self._queue.resolve([job])
