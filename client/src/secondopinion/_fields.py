"""Reads JSON objects key by key. What is not asked for is passed over, so answers may grow."""

from typing import Any

from secondopinion._errors import UnexpectedAnswerError


class Fields:
    """One JSON object of an answer; `where` names it in errors.

    Every method raises UnexpectedAnswerError where a value is of another type than documented,
    or is missing and not optional.
    """

    def __init__(self, raw: object, where: str) -> None:
        if not isinstance(raw, dict):
            raise UnexpectedAnswerError(f"{where}: a JSON object was expected")
        self.raw: dict[str, Any] = raw
        self.where = where

    def _wrong(self, key: str, expected: str) -> UnexpectedAnswerError:
        found = "nothing" if self.raw.get(key) is None else type(self.raw[key]).__name__
        return UnexpectedAnswerError(f"{self.where}: `{key}` should be {expected}, got {found}")

    def text_or_none(self, key: str) -> str | None:
        """A string."""
        value = self.raw.get(key)
        if value is not None and not isinstance(value, str):
            raise self._wrong(key, "a string")
        return value

    def text(self, key: str) -> str:
        """A string that must be there."""
        value = self.text_or_none(key)
        if value is None:
            raise self._wrong(key, "a string")
        return value

    def number_or_none(self, key: str) -> float | None:
        """A number; JSON's true and false are none."""
        value = self.raw.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._wrong(key, "a number")
        return float(value)

    def number(self, key: str) -> float:
        """A number that must be there."""
        value = self.number_or_none(key)
        if value is None:
            raise self._wrong(key, "a number")
        return value

    def whole(self, key: str) -> int:
        """A whole number that must be there."""
        value = self.number(key)
        if not value.is_integer():
            raise self._wrong(key, "a whole number")
        return int(value)

    def numbers(self, key: str) -> dict[str, float]:
        """An object of numbers; empty where there is none."""
        inner = self.object_or_none(key)
        return {} if inner is None else {name: inner.number(name) for name in inner.raw}

    def object(self, key: str) -> "Fields":
        """An object that must be there."""
        return Fields(self.raw.get(key), f"{self.where}: `{key}`")

    def object_or_none(self, key: str) -> "Fields | None":
        """An object."""
        return None if self.raw.get(key) is None else self.object(key)

    def objects(self, key: str) -> "dict[str, Fields]":
        """An object of objects; empty where there is none."""
        inner = self.object_or_none(key)
        return {} if inner is None else {name: inner.object(name) for name in inner.raw}

    def items(self, key: str) -> list[Any]:
        """A list that must be there."""
        value = self.raw.get(key)
        if not isinstance(value, list):
            raise self._wrong(key, "a list")
        return value

    def object_items(self, key: str) -> "list[Fields]":
        """A list of objects that must be there."""
        return [Fields(raw, f"{self.where}: `{key}`") for raw in self.items(key)]

    def number_items(self, key: str, count: int | None = None) -> tuple[float, ...]:
        """A list of numbers, `count` of them where it is given, that must be there."""
        values = self.items(key)
        if count is not None and len(values) != count:
            raise self._wrong(key, f"{count} numbers")
        return self._numbers(key, values)

    def number_lists_or_none(self, key: str) -> tuple[tuple[float, ...], ...] | None:
        """A list of lists of numbers."""
        if self.raw.get(key) is None:
            return None
        rows = self.items(key)
        if not all(isinstance(values, list) for values in rows):
            raise self._wrong(key, "lists of numbers")
        return tuple(self._numbers(key, values) for values in rows)

    def _numbers(self, key: str, values: list[Any]) -> tuple[float, ...]:
        if any(isinstance(value, bool) or not isinstance(value, int | float) for value in values):
            raise self._wrong(key, "numbers")
        return tuple(map(float, values))
