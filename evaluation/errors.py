"""The error of an evaluation that cannot be done, and parts of its message."""

from pydantic import ValidationError


class EvaluationError(Exception):
    """The message names the input and the remedy."""


def some(names: list[str], most: int = 5) -> str:
    """The first of many names, and how many more there are."""
    left = len(names) - most
    return ", ".join(names[:most]) + (f" and {left} more" if left > 0 else "")


def first_problem(error: ValidationError) -> str:
    """Where a document first differs from its format, and how; without what it says there."""
    first = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
