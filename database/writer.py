"""The one writer of a gateway: a thread that commits all rows that wait in one transaction.

A commit reaches the disk before those who wait for its rows go on. A row that the database refuses
is refused alone. While nothing can be written, rows wait for a few seconds, then their callers are
told; the thread tries on by itself, and finds out which rows a lost commit had written after all.
"""

import asyncio
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, insert, select, update
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    ProgrammingError,
    SQLAlchemyError,
    StatementError,
)

from database.chain import Receipt, genesis_hash, row_hash
from database.tables import chains, checkpoints, predictions

T = TypeVar("T")
Row = Mapping[str, Any]
Then = Callable[[Connection, Sequence[Receipt]], None]
"""Writes more in the transaction of rows, whose receipts it is given."""

CAPACITY = 4096
"""Rows that may wait."""
PATIENCE_SECONDS = 5.0
"""How long a row waits for a database that cannot be written."""
_RETRY_SECONDS = 0.25
_MOST_AT_ONCE = 512
_BALLAST_BYTES = 65536
"""More than a row and its indexes take: where so much can be written, rows can."""


class DatabaseUnavailableError(Exception):
    """Nothing can be written now; later it may be."""


class RowRefusedError(Exception):
    """The database refuses this row, whatever else it can write."""


def now() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1000


class Observer:
    """Told by the writer's thread what it does; does nothing itself."""

    def committed(self, rows: int, seconds: float) -> None:
        """A transaction with so many rows took so long."""

    def failed(self) -> None:
        """A transaction failed because the database could not be written."""

    def refused(self) -> None:
        """The database refused a row."""


@dataclass(slots=True)
class _Job:
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
        self._gateway = gateway
        # Of this start alone: by the time and 48 random bits.
        self.chain = f"{gateway}-{time.time_ns() // 10**6:012x}{secrets.token_hex(6)}"
        self._position, self._head = 0, ""
        self._begun = False
        self._busy_since: float | None = None
        """When the transaction under way was begun."""
        self._connection: Connection | None = None
        self._jobs: deque[_Job] = deque()
        self._waiting = 0
        self._condition = threading.Condition()
        self._closing = False
        self._available = True
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._work, name="database-writer", daemon=True)

    def start(self) -> None:
        """Starts the thread; those who await its work run in the current event loop."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    async def close(self) -> None:
        """Writes what waits, as long as rows may wait, and ends the thread."""
        with self._condition:
            self._closing = True
            self._condition.notify()
        await asyncio.to_thread(self._thread.join)

    @property
    def available(self) -> bool:
        """Whether a row that comes now can be expected to be written."""
        since = self._busy_since
        hangs = since is not None and time.monotonic() - since > self._patience
        possible = self._available and not self._closing and not hangs
        return possible and self._waiting < self._capacity

    @property
    def waiting(self) -> int:
        """Rows that wait."""
        return self._waiting

    @property
    def receipt(self) -> Receipt | None:
        """The chain's head; None before its first row."""
        position, head = self._position, self._head
        return Receipt(self.chain, position, head) if position else None

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
        receipts: list[Receipt] = await self._wait_for(_Job(rows=rows, then=then))
        return receipts

    async def run(self, function: Callable[[Connection], T]) -> T:
        """Calls a function in the writer's thread and commits what it writes.

        It must be quick, as all rows wait for it. Where it raises, nothing that it wrote stays.

        Raises:
            DatabaseUnavailableError: nothing can be written now.
            Exception: what the function raises.
        """
        result: T = await self._wait_for(_Job(function=function))
        return result

    def write_soon(self, row: Row) -> bool:
        """Writes a row that nobody waits for; False where it cannot even wait."""
        if not self.available:
            return False
        self._put(_Job(rows=[row]))
        return True

    async def _wait_for(self, job: _Job) -> Any:  # noqa: ANN401 - as the job's
        if not self.available:
            raise DatabaseUnavailableError
        job.future = asyncio.get_running_loop().create_future()
        self._put(job)
        try:
            # Longer than the thread takes to give up, unless the database hangs.
            async with asyncio.timeout(2 * self._patience):
                return await job.future
        except TimeoutError:
            raise DatabaseUnavailableError from None

    def _put(self, job: _Job) -> None:
        with self._condition:
            self._jobs.append(job)
            self._waiting += max(1, len(job.rows))
            self._condition.notify()

    # From here on: the thread.

    def _work(self) -> None:
        kept: list[_Job] = []
        while True:
            with self._condition:
                while not (self._jobs or kept or self._closing) and self._available:
                    self._condition.wait()
                if self._closing and not self._jobs and not kept:
                    break
                if not self._available:
                    self._condition.wait(_RETRY_SECONDS)
                while self._jobs and len(kept) < _MOST_AT_ONCE:
                    kept.append(self._jobs.popleft())
            kept = self._still_patient(kept)
            self._busy_since = time.monotonic()
            if self._available or self._try_writing(kept):
                kept = self._commit([job for job in kept if not self._found(job)])
            self._busy_since = None
        self._disconnect()

    def _commit(self, jobs: Sequence[_Job]) -> list[_Job]:
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
        self._resolve(jobs)
        return []

    def _transaction(self, jobs: Sequence[_Job]) -> None:
        started = time.perf_counter()
        connection = self._connected()
        position, head = self._position, self._head
        rows = 0
        with connection.begin():
            waiting: list[dict[str, Any]] = []
            for job in jobs:
                made = self._chained(job.rows, position, head)
                job.receipts = [Receipt(self.chain, r["position"], r["hash"]) for r in made]
                if self._succeeds(job, connection) and made:
                    waiting += made
                    position, head = made[-1]["position"], made[-1]["hash"]
            if waiting:
                connection.execute(insert(predictions), waiting)
            rows = len(waiting)
        self._position, self._head = position, head
        self._observer.committed(rows, time.perf_counter() - started)

    def _chained(self, rows: Sequence[Row], position: int, head: str) -> list[dict[str, Any]]:
        """The rows as they follow a head."""
        made: list[dict[str, Any]] = []
        for row in rows:
            position += 1
            full = {**row, "chain": self.chain, "position": position, "previous": head}
            head = full["hash"] = row_hash(full)
            made.append(full)
        return made

    def _succeeds(self, job: _Job, connection: Connection) -> bool:
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
                self._find_head(self._connection)
            self._begun = True
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            with suppress(Exception):
                # Not back to the pool: it may be what is broken.
                self._connection.invalidate()
                self._connection.close()
            self._connection = None

    def _find_head(self, connection: Connection) -> None:
        """Where the chain stands: a commit may have been done although its answer was lost."""
        if not self._begun:
            self._begin(connection)
        last = _last(connection, self.chain)
        if last is not None:
            self._position, self._head = last

    def _begin(self, connection: Connection) -> None:
        found = connection.scalar(select(chains.c.genesis).where(chains.c.chain == self.chain))
        if found is None:
            before = connection.execute(
                select(chains).order_by(chains.c.at.desc()).limit(1)
            ).first()
            row: dict[str, Any] = {
                "chain": self.chain,
                "gateway": self._gateway,
                "at": now(),
                "previous_chain": None,
                "previous_position": None,
                "previous_head": None,
            }
            if before is not None:
                row["previous_chain"] = before.chain
                row["previous_position"], row["previous_head"] = _last(
                    connection, before.chain
                ) or (
                    0,
                    before.genesis,
                )
            found = row["genesis"] = genesis_hash(row)
            connection.execute(insert(chains), row)
        self._position, self._head = 0, found

    def _try_writing(self, jobs: Sequence[_Job]) -> bool:
        """Whether the database takes and keeps as much as a row needs; notes whether it does."""
        own = chains.c.chain == self.chain
        ballast = secrets.token_hex(_BALLAST_BYTES // 2)
        before = self._position
        try:
            connection = self._connected()
            for content in (ballast, None):
                with connection.begin():
                    connection.execute(update(chains).where(own).values(ballast=content))
            with connection.begin():
                self._find_written(connection, jobs, before)
        except Exception:  # noqa: BLE001 - whatever it is, it cannot be written
            self._disconnect()
            self._available = False
            self._observer.failed()
            return False
        self._available = True
        return True

    def _find_written(self, connection: Connection, jobs: Sequence[_Job], before: int) -> None:
        """Gives jobs their receipts whose commit had been done although its answer was lost."""
        columns = predictions.c.id, predictions.c.position, predictions.c.hash
        own = predictions.c.chain == self.chain
        written = connection.execute(select(*columns).where(own, predictions.c.position > before))
        receipts = {row.id: Receipt(self.chain, row.position, row.hash) for row in written}
        for job in jobs:
            job.receipts = [receipts[row["id"]] for row in job.rows if row["id"] in receipts]

    def _found(self, job: _Job) -> bool:
        """Resolves a job whose rows are there already."""
        if not job.rows or len(job.receipts) != len(job.rows):
            return False
        self._resolve([job])
        return True

    def _put_off(self, jobs: Sequence[_Job]) -> list[_Job]:
        """Rows may be tried again, as it can be told whether they were written; no function."""
        for job in jobs:
            job.receipts = []
            if job.function is not None:
                self._refuse(job, DatabaseUnavailableError())
        return [job for job in jobs if job.function is None]

    def _still_patient(self, jobs: Sequence[_Job]) -> list[_Job]:
        """Jobs that may go on waiting; tells the others."""
        if self._available:
            return list(jobs)
        oldest = time.monotonic() - self._patience
        for job in jobs:
            if job.since < oldest or self._closing:
                self._refuse(job, DatabaseUnavailableError())
        return [job for job in jobs if job.since >= oldest and not self._closing]

    def _is_outage(self, error: Exception) -> bool:
        """Whether it is the database that fails, and not what was to be written."""
        if isinstance(error, DBAPIError) and error.connection_invalidated:
            return True
        refused = DataError | IntegrityError | InterfaceError
        if self._engine.dialect.name == "sqlite":
            refused |= ProgrammingError
        if isinstance(error, refused):
            return False
        # Of the driver alone: what SQLAlchemy itself cannot bind is the row's fault.
        if isinstance(error, StatementError) and not isinstance(error, DBAPIError):
            return False
        return isinstance(error, SQLAlchemyError | OSError)

    def _refuse(self, job: _Job, error: Exception) -> None:
        if self._is_outage(error):
            error = DatabaseUnavailableError()
        elif job.function is None and not isinstance(error, DatabaseUnavailableError):
            self._observer.refused()
            error = RowRefusedError(type(error).__name__)
        job.error = error.with_traceback(None)
        self._resolve([job])

    def _resolve(self, jobs: Sequence[_Job]) -> None:
        """Lets those go on who wait for jobs."""
        with self._condition:
            self._waiting -= sum(max(1, len(job.rows)) for job in jobs)
        awaited = [job for job in jobs if job.future is not None]
        if awaited and self._loop is not None:
            # Once the event loop is closed nobody waits any more.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(_settle, awaited)


def _settle(jobs: Sequence[_Job]) -> None:
    for job in jobs:
        if job.future is None or job.future.done():
            continue
        if job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.receipts if job.function is None else job.result)


def _last(connection: Connection, chain: str) -> tuple[int, str] | None:
    """Position and hash of a chain's newest row, also where retention removed it."""
    for table, head in ((predictions, predictions.c.hash), (checkpoints, checkpoints.c.head)):
        statement = (
            select(table.c.position, head)
            .where(table.c.chain == chain)
            .order_by(table.c.position.desc())
            .limit(1)
        )
        if (found := connection.execute(statement).first()) is not None:
            return found[0], found[1]
    return None
