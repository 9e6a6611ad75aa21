"""Counts the images of callers in the database, for all gateways together.

A caller's time is cut into slots; an image counts until the end of its slot has left the window, so
never too short. Requests that wait are counted in one transaction, callers in the order of their
ids. Nothing of it must survive a crash: the transaction does not wait for the disk.
"""

import asyncio
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy import Connection, Engine, delete, func, insert, select, text, update
from sqlalchemy.exc import SQLAlchemyError

from database.clock import now
from database.tables import rate_slots
from gateway.errors import Code, RefusedError
from gateway.identity.rate_limits import Count, Rate

log = structlog.get_logger("gateway")

_SLOTS = 60
"""In a rate's time: how exact it is."""
_MICROSECONDS = 1_000_000
_AT_ONCE = 256
_PATIENCE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class _Asked:
    caller: str
    rate: Rate
    images: int
    future: asyncio.Future[Count]


class SharedCounter:
    """Counts what all gateways of one database let in."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._waiting: list[_Asked] = []
        self._work: asyncio.Task[None] | None = None

    async def take(self, caller: str, rate: Rate, images: int) -> Count:
        """As the protocol."""
        asked = _Asked(caller, rate, images, asyncio.get_running_loop().create_future())
        self._waiting.append(asked)
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._count())
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                return await asked.future
        except TimeoutError:
            raise _uncounted() from None

    async def _count(self) -> None:
        while self._waiting:
            asked = [each for each in self._waiting[:_AT_ONCE] if not each.future.done()]
            del self._waiting[:_AT_ONCE]
            try:
                counts = await asyncio.to_thread(self._transaction, asked)
            except SQLAlchemyError as failure:
                # Its text may hold the database's address.
                log.warning("rates cannot be counted", error=type(failure).__name__)
                for each in asked:
                    if not each.future.done():
                        each.future.set_exception(_uncounted())
                continue
            for each, count in zip(asked, counts, strict=True):
                if not each.future.done():
                    each.future.set_result(count)

    def _transaction(self, asked: Sequence[_Asked]) -> list[Count]:
        by_caller: defaultdict[tuple[str, Rate], list[int]] = defaultdict(list)
        for number, each in enumerate(asked):
            by_caller[each.caller, each.rate].append(number)
        counts: dict[int, Count] = {}
        with self._engine.begin() as connection:
            postgres = connection.dialect.name == "postgresql"
            if postgres:
                connection.execute(text("SET LOCAL synchronous_commit = off"))
            # Two gateways lock callers in the same order.
            for caller, rate in sorted(by_caller, key=lambda each: (each[0], each[1].seconds)):
                numbers = by_caller[caller, rate]
                at = _locked(connection, caller) if postgres else now()
                window = _Window(connection, caller, rate, at)
                for number in numbers:
                    counts[number] = window.take(asked[number].images)
                window.write()
        return [counts[number] for number in range(len(asked))]


class _Window:
    """A caller's slots, in a transaction that no other one has at the same time."""

    def __init__(self, connection: Connection, caller: str, rate: Rate, now: int) -> None:
        self._connection, self._rate, self._now = connection, rate, now
        self._length = rate.seconds * _MICROSECONDS
        slots = rate_slots.c
        self._mine = (slots.caller == caller) & (slots.seconds == rate.seconds)
        self._key = {"caller": caller, "seconds": rate.seconds}
        query = select(slots.ends_at, slots.images).where(
            self._mine, slots.ends_at > now - self._length
        )
        self._slots: dict[int, int] = {row.ends_at: row.images for row in connection.execute(query)}
        step = self._length // _SLOTS
        self._slot = (now // step + 1) * step
        self._before = self._slots.get(self._slot, 0)

    def take(self, images: int) -> Count:
        used = sum(self._slots.values())
        taken = used + images <= self._rate.images
        if taken:
            self._slots[self._slot] = self._slots.get(self._slot, 0) + images
            used += images
        left = max(0, self._rate.images - used)
        # None may be left over where the rate was lowered.
        more_in = self._wait(1 + left) if used else 0
        retry = None if taken else self._wait(images)
        return Count(self._rate, left, more_in, retry)

    def _wait(self, images: int) -> int:
        """Whole seconds until so many are left."""
        free = self._rate.images - sum(self._slots.values())
        for ends_at in sorted(self._slots):
            free += self._slots[ends_at]
            if free >= images:
                return math.ceil((ends_at + self._length - self._now) / _MICROSECONDS)
        return self._rate.seconds

    def write(self) -> None:
        images = self._slots.get(self._slot, 0)
        if images == self._before:
            return
        old = self._mine & (rate_slots.c.ends_at <= self._now - self._length)
        self._connection.execute(delete(rate_slots).where(old))
        if self._before:
            mine = self._mine & (rate_slots.c.ends_at == self._slot)
            self._connection.execute(update(rate_slots).where(mine).values(images=images))
        else:
            row = {**self._key, "ends_at": self._slot, "images": images}
            self._connection.execute(insert(rate_slots).values(row))


def _locked(connection: Connection, caller: str) -> int:
    """The server's time, in microseconds, once no other gateway counts for the caller."""
    connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(caller, 0))))
    now: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
    return round(now.timestamp() * _MICROSECONDS)


def _uncounted() -> RefusedError:
    return RefusedError(
        Code.UNAVAILABLE,
        "service: the caller's rate cannot be counted now. Wait as Retry-After says.",
        reason="rate",
    )
