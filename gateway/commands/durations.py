"""Lengths of time as commands take them: a number and a unit, as in 90d."""

import re

import typer

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_DURATION = re.compile(rf"([1-9][0-9]{{0,6}})([{''.join(_UNITS)}])")


def seconds(text: str) -> int:
    """The seconds that a text means.

    Raises:
        typer.BadParameter: it is no length of time.
    """
    if (found := _DURATION.fullmatch(text)) is None:
        raise typer.BadParameter(f"{text!r}: write a number and s, m, h, d or w, as in 90d")
    return int(found[1]) * _UNITS[found[2]]
