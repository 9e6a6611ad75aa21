"""The tensors of one answer of Triton's, in Python's types."""

import struct
from collections.abc import Collection, Mapping
from typing import Self

import numpy as np
from numpy.typing import NDArray

from gateway.errors import Code, RefusedError


def misfit() -> RefusedError:
    """The refusal of an answer that is not what the pipeline's facts promise."""
    return RefusedError(
        Code.MODEL_OUTPUT,
        "pipeline: its answer does not fit its facts. Report it to the service's operator.",
    )


class Outputs:
    """Tensors by name, flattened in row-major order.

    Every method raises `RefusedError` with `model_output` where there is no such tensor, its bytes
    are of another type, or it does not have `count` elements (None: any number of them).
    """

    def __init__(self, raw: Mapping[str, bytes], texts: Collection[str] = ()) -> None:
        """Tensors by name, as sent; `texts` names those of BYTES."""
        self._raw = raw
        self._texts = texts

    def rows(self, count: int) -> list[Self]:
        """The answers of a batch, one by one."""
        if count == 1:
            return [self]
        columns = {name: self._column(name, count) for name in self._raw}
        return [
            type(self)({name: column[row] for name, column in columns.items()}, self._texts)
            for row in range(count)
        ]

    def floats(self, name: str, count: int | None = None) -> list[float]:
        """FP32 numbers, each as the shortest decimal that means it: 0.37, not 0.3700000047."""
        return [float(str(number)) for number in self._numbers(name, "<f4", count)]

    def ints(self, name: str, count: int | None = None) -> list[int]:
        """INT32 numbers."""
        return [int(number) for number in self._numbers(name, "<i4", count)]

    def strings(self, name: str, count: int | None = None) -> list[bytes]:
        """The elements of a BYTES tensor, each of which has its length before it."""
        raw, elements, start = self._bytes(name), [], 0
        while start < len(raw):
            if start + 4 > len(raw):
                raise misfit()
            (size,) = struct.unpack_from("<I", raw, start)
            start += 4 + size
            elements.append(raw[start - size : start])
        if start != len(raw) or count not in {None, len(elements)}:
            raise misfit()
        return elements

    def text(self, name: str) -> str:
        """The one element of a BYTES tensor, in UTF-8."""
        (element,) = self.strings(name, 1)
        try:
            return element.decode()
        except UnicodeDecodeError:
            raise misfit() from None

    def _numbers(self, name: str, kind: str, count: int | None) -> NDArray[np.generic]:
        raw = self._bytes(name)
        if len(raw) % 4 or count not in {None, len(raw) // 4}:
            raise misfit()
        return np.frombuffer(raw, kind)

    def _column(self, name: str, rows: int) -> list[bytes]:
        if name not in self._texts:
            raw = self._bytes(name)
            size, rest = divmod(len(raw), rows)
            parts = [raw[row * size : (row + 1) * size] for row in range(rows)]
        else:
            elements = [struct.pack("<I", len(text)) + text for text in self.strings(name)]
            size, rest = divmod(len(elements), rows)
            parts = [b"".join(elements[row * size : (row + 1) * size]) for row in range(rows)]
        if rest:
            raise misfit()
        return parts

    def _bytes(self, name: str) -> bytes:
        if name not in self._raw:
            raise misfit()
        return self._raw[name]
