"""Reads the lists of names and numbers on the bench's command lines."""

from collections.abc import Sequence

from lab.errors import LabError


def words(asked: str, known: Sequence[str]) -> list[str]:
    """The names that are asked for, in the order in which they are known; `all` is every one.

    Raises:
        LabError: one is not known.
    """
    found = asked.replace(",", " ").split()
    if unknown := [word for word in found if word not in {*known, "all"}]:
        raise LabError(f"no {unknown[0]!r}; there are: {', '.join(known)}")
    return list(known) if "all" in found or not found else [n for n in known if n in found]


def size(asked: str) -> tuple[int, int]:
    """Width and height.

    Raises:
        LabError: it is no size.
    """
    width, _, height = asked.partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise LabError(f"--photo-size: {asked!r} is not width x height, as 640x480")
    return int(width), int(height)
