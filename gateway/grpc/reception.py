"""Turns for calls whose message is received: gRPC does not say its size before it is whole."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from gateway.core.request import Deadline
from gateway.errors import Code, RefusedError

_WAITING = 1024
"""Calls that may wait for a turn; of each, gRPC keeps the first 64 KiB."""
_BUSY = "request: too many messages are being received. Wait as Retry-After says."


@dataclass(frozen=True, slots=True, eq=False)
class _Waiter:
    caller: str
    connection: str
    turn: asyncio.Future[None]


class Reception:
    """Few messages are received at a time, so that their sum is bounded.

    A caller has at most half of the turns, and a connection half of its caller's: calls whose
    message does not come keep no other caller waiting. One connection is not slowed by it, as its
    messages come one behind the other anyway.
    """

    def __init__(self, turns: int, limit: int, seconds: float) -> None:
        """Has all turns free.

        Args:
            turns: messages that are received at a time.
            limit: bytes of the largest message, also when it is inflated.
            seconds: how long a call may wait for its turn, and then its message take to come.
        """
        self.seconds = seconds
        self._limit = limit
        self._turns = turns
        self._of_caller = -(-turns // 2)
        self._of_connection = -(-self._of_caller // 2)
        self._taken = 0
        self._callers: Counter[str] = Counter()
        self._connections: Counter[str] = Counter()
        self._waiting: list[_Waiter] = []

    @asynccontextmanager
    async def turn(self, caller: str, connection: str, deadline: Deadline) -> AsyncIterator[int]:
        """Waits for a turn and has it; gives the largest size that a message may have.

        Raises:
            RefusedError: with code `busy` where too many wait, or no turn came in time.
        """
        if not self._free(caller, connection):
            await self._wait(caller, connection, deadline)
        else:
            self._count(caller, connection, 1)
        try:
            yield self._limit
        finally:
            self._end(caller, connection)

    async def _wait(self, caller: str, connection: str, deadline: Deadline) -> None:
        """Returns with the turn counted."""
        own = sum(waiter.caller == caller for waiter in self._waiting)
        if len(self._waiting) >= _WAITING or own >= _WAITING // 2:
            raise RefusedError(Code.BUSY, _BUSY, reason="receiving")
        turn = asyncio.get_running_loop().create_future()
        waiter = _Waiter(caller, connection, turn)
        self._waiting.append(waiter)
        try:
            await asyncio.wait((turn,), timeout=min(self.seconds, deadline.remaining()))
        except asyncio.CancelledError:
            if turn.done():
                self._end(caller, connection)
            raise
        finally:
            if not turn.done():
                self._waiting.remove(waiter)
        if not turn.done():
            raise RefusedError(Code.BUSY, _BUSY, reason="receiving")

    def _free(self, caller: str, connection: str) -> bool:
        return (
            self._taken < self._turns
            and self._callers[caller] < self._of_caller
            and self._connections[connection] < self._of_connection
        )

    def _count(self, caller: str, connection: str, turns: int) -> None:
        self._taken += turns
        for counter, name in ((self._callers, caller), (self._connections, connection)):
            counter[name] += turns
            if not counter[name]:
                del counter[name]

    def _end(self, caller: str, connection: str) -> None:
        """Frees a turn, and gives what is free to those that wait, the first of them first."""
        self._count(caller, connection, -1)
        for waiter in list(self._waiting):
            if self._taken >= self._turns:
                return
            if self._free(waiter.caller, waiter.connection):
                self._waiting.remove(waiter)
                self._count(waiter.caller, waiter.connection, 1)
                waiter.turn.set_result(None)
