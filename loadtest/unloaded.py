"""How long a question takes when nobody else asks."""

import statistics
import time
from collections.abc import Iterable

from loadtest.errors import LoadtestError
from loadtest.sending import Sender

_WARM_UP, _ASKS = 1, 9


def medians(users: Iterable[Sender]) -> dict[str, float]:
    """Median seconds of each kind's question, asked one at a time.

    Raises:
        LoadtestError: a question has no right answer.
    """
    return {user.kind: statistics.median(_times(user)) for user in users}


def _times(user: Sender) -> list[float]:
    seconds = []
    for _ in range(_WARM_UP + _ASKS):
        photos = user.pick()
        start = time.perf_counter()
        reply = user.ask(photos)
        seconds.append(time.perf_counter() - start)
        fault = reply.fault or user.session.reference.fault(photos, reply.verdicts)
        if fault:
            raise LoadtestError(
                f"{user.kind}: no right answer from the unloaded service ({fault}); see its log"
            )
    user.on_stop()
    return seconds[_WARM_UP:]
