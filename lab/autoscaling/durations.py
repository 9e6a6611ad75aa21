"""Divides the durations of Prometheus, so that a run of minutes takes seconds."""

import re

_MILLISECONDS = {
    "ms": 1,
    "s": 1_000,
    "m": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
    "w": 604_800_000,
}
_DURATION = re.compile(r"(\d+)(ms|s|m|h|d|w)")


def shorter(duration: str, faster: int) -> str:
    """A duration such as `5m`, divided.

    Raises:
        ValueError: it has more than one unit.
    """
    if not (match := _DURATION.fullmatch(duration)):
        raise ValueError(f"{duration}: no duration of one unit, as 30s or 5m")
    return f"{max(1, int(match[1]) * _MILLISECONDS[match[2]] // faster)}ms"
