"""Reads a request's parameters, and checks them against the pipeline's rules."""

import functools
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from inference.errors import RefusedError
from pipelines.protocol import COSTLY_APART, Parameter, Refusal

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_NAME_LENGTH = 40


@dataclass(frozen=True)
class RequestParameters:
    """What one request asks for; None: the pipeline's own."""

    threshold: float | None = None
    member: int | None = None
    """Index of the one member that answers."""
    visualization: bool = False
    polygons: bool = False
    explain: bool = False


@dataclass(frozen=True)
class ParameterRules:
    """Which parameters requests of one pipeline may have."""

    members: tuple[str, ...]
    bounds: tuple[float, float] | None = None
    """Lowest and highest threshold; None: the pipeline has none."""
    top_k: int | None = None
    """The largest; None: the pipeline has none. The gateway renders by it; here it is checked."""
    flags: tuple[Parameter, ...] = ()
    """Parameters that are true or false."""

    def read(self, parameters: Mapping[str, Any]) -> RequestParameters:
        """Reads a request's parameters; numbers and flags may be strings.

        Raises:
            RefusedError: an unknown name, a value out of its bounds, or no such member.
        """
        readers = self._readers()
        for name in parameters:
            if name not in readers:
                allowed = ", ".join(sorted(readers))
                raise RefusedError(
                    Refusal.PARAMETER_UNKNOWN,
                    f"there is no parameter {name[:_NAME_LENGTH]!r} here. Choose from: {allowed}.",
                )
        read: dict[str, Any] = {name: readers[name](value) for name, value in parameters.items()}
        read.pop(Parameter.TOP_K, None)
        return RequestParameters(**read)

    def _readers(self) -> dict[str, Callable[[Any], object]]:
        readers: dict[str, Callable[[Any], object]] = {Parameter.MEMBER: self._member}
        if self.bounds:
            readers[Parameter.THRESHOLD] = self._threshold
        if self.top_k:
            readers[Parameter.TOP_K] = self._top_k
        for flag in self.flags:
            readers[flag] = functools.partial(_boolean, flag)
        return readers

    def _threshold(self, value: object) -> float:
        low, high = self.bounds or (0.0, 1.0)
        number = _number(value)
        # In FP32, as it is answered: whoever sends an answered bound back is not refused.
        if number is None or not np.float32(low) <= np.float32(number) <= np.float32(high):
            _invalid(Parameter.THRESHOLD, f"a number from {low} to {high}")
        return number

    def _top_k(self, value: object) -> int:
        number = _number(value)
        if number is None or not number.is_integer() or not 1 <= number <= (self.top_k or 1):
            _invalid(Parameter.TOP_K, f"a whole number from 1 to {self.top_k}")
        return int(number)

    def _member(self, value: object) -> int:
        if value not in self.members:
            raise RefusedError(
                Refusal.MEMBER_UNKNOWN,
                f"there is no such member. Choose from: {', '.join(self.members)}.",
            )
        return self.members.index(str(value))


def parse(text: str) -> dict[str, Any]:
    """What a caller chose, of the JSON of `request.parameters()`.

    Without any the JSON is an empty string or object.
    """
    given: dict[str, Any] = json.loads(text) if text else {}
    return {name: value for name, value in given.items() if name != COSTLY_APART}


def costly_apart(text: str) -> bool:
    """Whether costly images are to be refused, of the JSON of `request.parameters()`."""
    return COSTLY_APART in text and COSTLY_APART in json.loads(text)


def _number(value: object) -> float | None:
    """A finite number or the text of one; None for anything else (a bool is no number)."""
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _boolean(name: str, value: object) -> bool:
    """A bool, 0, 1, or the text of one in any case."""
    text = str(value).strip().lower()
    if not isinstance(value, bool | int | str) or text not in _BOOLEANS:
        _invalid(name, "true or false")
    return _BOOLEANS[text]


def _invalid(name: str, expected: str) -> NoReturn:
    raise RefusedError(Refusal.PARAMETER_INVALID, f"{name} must be {expected}.")
