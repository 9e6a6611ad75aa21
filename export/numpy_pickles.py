"""Stand-ins for what NumPy puts into pickles: they hold plain values, and run none of its code.

NumPy's own types trust their pickled state, which may name addresses of objects.
"""

import re
from collections.abc import Callable

import numpy as np

_PLAIN = re.compile(r"[<>=|]?([biufU]\d+|b1|\?)")
"""Types of numbers and of text; of an object or a structure nothing is read."""


class UnknownTypeError(ValueError):
    """An array of something other than numbers or text, or of another size than it says."""


class DType:
    """The type of an array's elements."""

    def __init__(self, code: str, *_: object) -> None:
        self.code = code

    def __setstate__(self, state: tuple[object, ...]) -> None:
        if len(state) > 1 and state[1] in {">", "<"} and self.code[:1] not in {">", "<"}:
            self.code = f"{state[1]}{self.code}"

    def read(self, data: bytes, shape: tuple[int, ...], order: str = "C") -> object:
        """Elements in Python's own types: a list of lists, or one value where the shape is ()."""
        if not isinstance(data, bytes) or not _PLAIN.fullmatch(self.code):
            raise UnknownTypeError(f"an array of {self.code} is neither numbers nor text")
        try:
            array = np.frombuffer(data, np.dtype(self.code)).reshape(shape, order=order)  # type: ignore[call-overload]
        except (TypeError, ValueError) as error:
            raise UnknownTypeError(str(error)) from None
        return array.tolist()


class Array(list[object]):
    """An array as a list, of lists where it has several dimensions."""

    def __setstate__(self, state: tuple[object, ...]) -> None:
        _, shape, dtype, fortran, data = state
        if isinstance(data, list) and all(isinstance(each, str) for each in data):
            self[:] = data  # of objects, as pandas has names
            return
        if not (isinstance(dtype, DType) and isinstance(shape, tuple) and isinstance(data, bytes)):
            raise UnknownTypeError("an array of objects is not read")
        values = dtype.read(data, shape, "F" if fortran else "C")
        self[:] = values if isinstance(values, list) else [values]


def _scalar(dtype: DType, data: bytes) -> object:
    return dtype.read(data, ())


def _array(*_: object) -> Array:
    return Array()


def _no_bytes() -> bytes:
    """How old protocols write the data of an array without elements."""
    return b""


ALLOWED: list[tuple[Callable[..., object], str]] = [
    (DType, "numpy.dtype"),
    (Array, "numpy.ndarray"),
    (_no_bytes, "builtins.bytes"),
    *(
        (stand_in, f"numpy.{core}.multiarray.{name}")
        for core in ("core", "_core")
        for name, stand_in in (("scalar", _scalar), ("_reconstruct", _array))
    ),
]
"""For `torch.serialization.safe_globals`."""
