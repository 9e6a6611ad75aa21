"""Rates: for how many images a caller may ask in a time, counted by this gateway or by all.

In any stretch of time as long as the rate's, no more are let in than it says: a caller who waited
cannot save up. What a caller is told is so in whole seconds, rounded up: who waits as told, and
alone uses the rate, is let in.
"""

import math
import time
from dataclasses import dataclass
from typing import Protocol, Self

from limits import (
    RateLimitItem,
    RateLimitItemPerDay,
    RateLimitItemPerHour,
    RateLimitItemPerMinute,
    RateLimitItemPerSecond,
)
from limits.storage import MemoryStorage

from gateway.errors import Code, RefusedError
from gateway.identity.principal import Principal

_UNITS: dict[str, type[RateLimitItem]] = {
    "s": RateLimitItemPerSecond,
    "min": RateLimitItemPerMinute,
    "h": RateLimitItemPerHour,
    "day": RateLimitItemPerDay,
}
_REMEMBERED = 10_000
"""Callers without any quota that are remembered, so that they are refused without counting."""


@dataclass(frozen=True, slots=True)
class Rate:
    """So many images in so many seconds."""

    images: int
    seconds: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads a rate as keys have it: `60/min`, with s, min, h or day.

        Raises:
            ValueError: it is none.
        """
        number, _, unit = text.partition("/")
        if unit not in _UNITS or not number.isdecimal() or int(number) < 1:
            raise ValueError("write a number of images and s, min, h or day, as in 60/min")
        return cls(int(number), _UNITS[unit](1).get_expiry())


@dataclass(frozen=True, slots=True)
class Count:
    """What became of a request, and what is left. Times are whole seconds, rounded up."""

    rate: Rate
    left: int
    """Images that may be asked about at once."""
    more_in: int
    """Seconds until more are left; 0 where all are."""
    retry_after: int | None = None
    """The request is refused: seconds until as many images as it brought are left."""

    def fields(self) -> dict[str, str]:
        """What the answer says of it, as header fields of the IETF's draft (-10)."""
        return {
            "ratelimit-policy": f'"images";q={self.rate.images};w={self.rate.seconds}',
            "ratelimit": f'"images";r={self.left};t={self.more_in}',
        }


class Counter(Protocol):
    """Counts the images of callers."""

    async def take(self, caller: str, rate: Rate, images: int) -> Count:
        """Counts so many images, at most the rate's, unless they would be too many.

        Raises:
            RefusedError: with `unavailable`, where nothing can be counted.
        """


class OwnCounter:
    """Counts what this gateway lets in, in its memory."""

    def __init__(self) -> None:
        self._storage = MemoryStorage()

    async def take(self, caller: str, rate: Rate, images: int) -> Count:
        """As the protocol; it is done at once."""
        # Not by the number of images, which the operator may change.
        key = f"{caller}/{rate.seconds}"
        taken = self._storage.acquire_entry(key, rate.images, rate.seconds, images)
        since, used = self._storage.get_moving_window(key, rate.images, rate.seconds)
        more_in = max(1, math.ceil(since + rate.seconds - time.time())) if used else 0
        left = max(0, rate.images - used)
        if taken:
            return Count(rate, left, more_in)

        def used_after(wait: int) -> int:
            return self._storage.get_moving_window(key, rate.images, rate.seconds - wait)[1]

        # The first whole second after which enough have left the window.
        low, high = 1, rate.seconds
        while low < high:
            middle = (low + high) // 2
            if used_after(middle) + images <= rate.images:
                high = middle
            else:
                low = middle + 1
        return Count(rate, left, more_in, retry_after=low)


class RateLimits:
    """Lets callers in as their rates allow."""

    def __init__(self, counter: Counter, default: str | None = None) -> None:
        """Takes who counts, and the rate of known callers that have none of their own."""
        self._counter = counter
        self._default = None if default is None else Rate.parse(default)
        self._spent: dict[str, tuple[float, Count]] = {}
        """Callers with nothing left, until when, and what they were told."""

    def rate_of(self, principal: Principal) -> Rate | None:
        """The caller's rate; None where it has no limit."""
        if not principal.known:
            return None
        return self._default if principal.rate is None else Rate.parse(principal.rate)

    def check(self, principal: Principal, fields: dict[str, str]) -> None:
        """Refuses a caller who has nothing left, before anything is received or counted.

        Raises:
            RefusedError: with `rate_limited`; `fields` then say what the answer says of the rate.
        """
        until, count = self._spent.get(principal.id, (0.0, None))
        wait = math.ceil(until - time.monotonic())
        if count is None or wait <= 0 or count.rate != self.rate_of(principal):
            return
        told = Count(count.rate, 0, wait, wait)
        fields.update(told.fields())
        raise _refusal(told, 1)

    async def take(self, principal: Principal, images: int, fields: dict[str, str]) -> None:
        """Counts the images of a request.

        Raises:
            RefusedError: with `rate_limited` where they are too many now, with `too_many_files`
                where they always are, with `unavailable` where they cannot be counted.
        """
        rate = self.rate_of(principal)
        if rate is None:
            return
        if images > rate.images:
            raise RefusedError(
                Code.TOO_MANY_FILES,
                f"request: it counts as {images} images, and the rate lets in {rate.images} in "
                f"{rate.seconds} s. Send fewer at a time, and none with `explain`.",
            )
        count = await self._counter.take(principal.id, rate, images)
        fields.update(count.fields())
        if not count.left:
            if len(self._spent) >= _REMEMBERED:
                self._spent.clear()
            self._spent[principal.id] = time.monotonic() + count.more_in, count
        if count.retry_after is not None:
            raise _refusal(count, images)


def _refusal(count: Count, images: int) -> RefusedError:
    rate = count.rate
    return RefusedError(
        Code.RATE_LIMITED,
        f"caller: its rate of {rate.images} images in {rate.seconds} s has {count.left} left, and "
        f"the request needs {images}. Wait as Retry-After says.",
        retry_after=count.retry_after,
        reason="rate",
    )
