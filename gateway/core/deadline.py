"""When a request must be answered."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self

from gateway.errors import Code, RefusedError


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on the event loop's clock, in seconds."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Self:
        """The deadline that lies so many seconds ahead."""
        return cls(asyncio.get_running_loop().time() + seconds)

    def within(self, seconds: float) -> "Deadline":
        """This one, or the one that lies so many seconds ahead where that is earlier."""
        return Deadline(min(self.at, asyncio.get_running_loop().time() + seconds))

    def remaining(self) -> float:
        """Seconds left; 0 when it has passed."""
        return max(0.0, self.at - asyncio.get_running_loop().time())

    @asynccontextmanager
    async def enforce(self, what: str) -> AsyncIterator[None]:
        """Cancels what runs inside once the deadline passes.

        Args:
            what: the input that was too slow and the remedy, for the caller.

        Raises:
            RefusedError: with code `deadline`.
        """
        limit = asyncio.timeout_at(self.at)
        try:
            async with limit:
                yield
        except TimeoutError:
            if not limit.expired():
                raise
            raise RefusedError(Code.DEADLINE, what) from None
