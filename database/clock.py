"""Times as the database has them: UTC, in microseconds since 1970."""

import time
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def now() -> int:
    """This machine's time."""
    return time.time_ns() // 1000


def microseconds(at: datetime) -> int:
    """A time as the database has it; without a zone it is UTC."""
    aware = at if at.tzinfo else at.replace(tzinfo=UTC)
    return (aware - _EPOCH) // timedelta(microseconds=1)


def moment(at: int) -> datetime:
    """A time of the database, in UTC."""
    return _EPOCH + timedelta(microseconds=at)
