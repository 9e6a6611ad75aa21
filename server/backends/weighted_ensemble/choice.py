"""What a request may choose: its parameters, read and checked."""

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from pipelines.wire import Parameter, Refusal
from server.backends.refusal import RefusedError

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_LONGEST_NAME = 40


@dataclass(frozen=True)
class Choice:
    """A request's own threshold and member; None: the pipeline's."""

    threshold: float | None = None
    member: int | None = None
    """Index of the one member that decides."""


@dataclass(frozen=True)
class Choices:
    """What requests of one pipeline may choose."""

    classes: int
    members: tuple[str, ...]
    bounds: tuple[float, float] | None
    """Lowest and highest threshold; None: the pipeline has none."""

    def read(self, parameters: Mapping[str, Any]) -> Choice:
        """Reads a request's parameters; numbers may be numeric strings.

        Raises:
            RefusedError: an unknown name, a value out of its bounds, or no such member.
        """
        readers: dict[str, Callable[[Any], object]] = {Parameter.MEMBER: self._member}
        if self.bounds:
            readers[Parameter.THRESHOLD] = self._threshold
        else:
            readers[Parameter.TOP_K] = self._top_k
        for name in parameters:
            if name not in readers:
                allowed = ", ".join(sorted(readers))
                raise RefusedError(
                    Refusal.PARAMETER_UNKNOWN,
                    f"there is no parameter {name[:_LONGEST_NAME]!r} here. Choose from: {allowed}.",
                )
        read: dict[str, Any] = {name: readers[name](value) for name, value in parameters.items()}
        return Choice(read.get(Parameter.THRESHOLD), read.get(Parameter.MEMBER))

    def _threshold(self, value: object) -> float:
        low, high = self.bounds or (0.0, 1.0)
        number = _number(value)
        # In FP32, as it is answered: whoever sends an answered bound back is not refused.
        if number is None or not np.float32(low) <= np.float32(number) <= np.float32(high):
            _invalid(Parameter.THRESHOLD, f"a number from {low} to {high}")
        return number

    def _top_k(self, value: object) -> int:
        number = _number(value)
        if number is None or not number.is_integer() or not 1 <= number <= self.classes:
            _invalid(Parameter.TOP_K, f"a whole number from 1 to {self.classes}")
        return int(number)

    def _member(self, value: object) -> int:
        if value not in self.members:
            raise RefusedError(
                Refusal.MEMBER_UNKNOWN,
                f"there is no such member. Choose from: {', '.join(self.members)}.",
            )
        return self.members.index(str(value))


def parse(text: str) -> dict[str, Any]:
    """The JSON of `request.parameters()`; none is the empty string or an empty object."""
    return dict(json.loads(text)) if text else {}


def _number(value: object) -> float | None:
    """A finite number or the text of one; None for anything else (a bool is no number)."""
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _invalid(name: str, expected: str) -> NoReturn:
    raise RefusedError(Refusal.PARAMETER_INVALID, f"{name} must be {expected}.")
