"""Usage of the service: sums over the audit log by what images have in common, and their cost."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from database import usage
from database.usage import Dimension, Sums
from gateway.errors import Code, RefusedError
from gateway.usage.prices import Prices

log = structlog.get_logger("gateway")
T = TypeVar("T")

MOST_GROUPS = 10_000
"""Of one answer."""
_REFRESH_SECONDS = 60.0
_HOUR = timedelta(hours=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Capacity:
    """What stands ready for the service, whether it computes or not; None: not said."""

    cpu_cores: float | None
    gpus: float | None


@dataclass(frozen=True, slots=True)
class Period:
    """Whole hours, UTC."""

    first: datetime
    end: datetime
    """The hour after the last."""

    @classmethod
    def of(cls, since: datetime | None, until: datetime | None, now: datetime) -> "Period":
        """The hours that a time touches; by default this month up to now, or that of its end.

        Raises:
            RefusedError: with `parameter_invalid`, where it ends before it begins.
        """
        end = _whole(until or now, up=True)
        first = _whole(since or month_of(until or now), up=False)
        if first >= end:
            raise RefusedError(
                Code.PARAMETER_INVALID, "to: it is not after `from`. Swap them, or leave one out."
            )
        return cls(first, end)

    @property
    def hours(self) -> tuple[int, int]:
        """The first and the one after the last, in hours since 1970."""
        return (self.first - _EPOCH) // _HOUR, (self.end - _EPOCH) // _HOUR


@dataclass(frozen=True, slots=True)
class Group:
    """Images that have something in common."""

    common: Mapping[Dimension, Any]
    sums: Sums


@dataclass(frozen=True, slots=True)
class Answered:
    """What a release answered."""

    first: datetime
    """When the hour of its first answer began, UTC."""
    last: datetime
    """Likewise, of its last one."""
    images: int


class Usage:
    """Reads usage from the database, after it has rolled up what came since."""

    def __init__(self, engine: Engine, prices: Prices, capacity: Capacity) -> None:
        self._engine = engine
        self.prices = prices
        self._capacity = capacity

    async def groups(
        self, by: Sequence[Dimension], period: Period, where: Mapping[Dimension, Collection[str]]
    ) -> list[Group]:
        """Images of a period, told apart by some dimensions; of none, all together.

        Raises:
            RefusedError: with `parameter_invalid`, where they are more than one answer has; with
                `unavailable`, where the database does not answer.
        """
        since, until = period.hours
        totals = partial(
            usage.totals, by=by, since=since, until=until, where=where, limit=MOST_GROUPS + 1
        )
        found = [Group(common, sums) for common, sums in await self._read(totals)]
        if len(found) > MOST_GROUPS:
            raise RefusedError(
                Code.PARAMETER_INVALID,
                f"by: it gives more than {MOST_GROUPS} rows. Ask for fewer dimensions, a shorter "
                "time, or one caller or pipeline.",
            )
        return found

    async def releases(self) -> dict[tuple[str, str], Answered]:
        """The releases that ever answered, by pipeline and id.

        Raises:
            RefusedError: with `unavailable`, where the database does not answer.
        """
        return {
            key: Answered(hour_start(first), hour_start(last), images)
            for key, (first, last, images) in (await self._read(usage.releases)).items()
        }

    async def _read(self, read: Callable[[Engine], T]) -> T:
        def fresh() -> T:
            usage.refresh(self._engine)
            return read(self._engine)

        try:
            return await asyncio.to_thread(fresh)
        except SQLAlchemyError:
            raise RefusedError(
                Code.UNAVAILABLE,
                "service: its database does not answer. Try again after the seconds in "
                "Retry-After.",
            ) from None

    def idle(self, period: Period, sums: Sums, now: datetime) -> Sums | None:
        """Seconds of a period for which what stands ready computed nothing for any image.

        Args:
            period: which; of its last hour only what is over.
            sums: of all images in it.
            now: the time.

        Returns:
            None where the operator has not said what stands ready.
        """
        if self._capacity.cpu_cores is None:
            return None
        seconds = max((min(period.end, now) - period.first).total_seconds(), 0.0)
        cpu = self._capacity.cpu_cores * seconds - sums.cpu_seconds
        gpu = (self._capacity.gpus or 0.0) * seconds - sums.gpu_seconds
        return Sums(cpu_seconds=max(cpu, 0.0), gpu_seconds=max(gpu, 0.0))

    async def watch(self) -> None:
        """Rolls up each minute, so that questions find little to do."""
        while True:
            try:
                await asyncio.to_thread(usage.refresh, self._engine)
            except SQLAlchemyError as error:
                # The next time does all of it. The writer says what is wrong with the database.
                log.warning("usage was not rolled up", error=type(error).__name__)
            await asyncio.sleep(_REFRESH_SECONDS)


def month_of(moment: datetime) -> datetime:
    """When its month began, UTC."""
    return moment.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def hour_start(hour: int) -> datetime:
    """When an hour since 1970 begins."""
    return _EPOCH + hour * _HOUR


def _whole(moment: datetime, *, up: bool) -> datetime:
    """The full hour before a time, or at or after it."""
    utc = moment.astimezone(UTC)
    hours = (utc - _EPOCH) // _HOUR
    whole = hour_start(hours)
    return whole + _HOUR if up and whole < utc else whole
