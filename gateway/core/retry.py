"""Asks once more where the models may be back in a moment."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from gateway.errors import Code, RefusedError

T = TypeVar("T")

_PAUSE_SECONDS = 0.2


async def twice_if_unavailable(ask: Callable[[], Awaitable[T]]) -> T:
    """Safe, as an inference changes nothing; once, as more would be a stampede.

    Raises:
        RefusedError: whatever kept the last question from an answer.
    """
    try:
        return await ask()
    except RefusedError as refusal:
        if refusal.code is not Code.UNAVAILABLE:
            raise
    await asyncio.sleep(_PAUSE_SECONDS)
    return await ask()
