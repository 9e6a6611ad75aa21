"""The error of an evaluation that cannot be done."""


class EvaluationError(Exception):
    """The message names the input and the remedy."""


def some(names: list[str], most: int = 5) -> str:
    """The first of many names, and how many more there are."""
    left = len(names) - most
    return ", ".join(names[:most]) + (f" and {left} more" if left > 0 else "")
