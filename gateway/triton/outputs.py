"""The output tensors of one inference, and their conversion to NumPy arrays and text."""

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from gateway.errors import Code, RefusedError

BYTES = "BYTES"
"""Datatype of a tensor whose elements have their length before them: UINT32, little endian."""


def invalid_model_output() -> RefusedError:
    """The refusal of an answer that does not fit the pipeline's facts."""
    return RefusedError(
        Code.MODEL_OUTPUT,
        "pipeline: its answer does not fit its configuration. Report it to the service's operator.",
    )


def split_elements(data: bytes | memoryview, most: float = math.inf) -> list[bytes] | None:
    """The elements of a BYTES tensor; None where the bytes are no whole elements, or too many."""
    elements: list[bytes] = []
    start = 0
    while start + 4 <= len(data) and len(elements) < most:
        (size,) = struct.unpack_from("<I", data, start)
        start += 4 + size
        elements.append(bytes(data[start - size : start]))
    return elements if start == len(data) else None


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor as Triton sent it, flattened in row-major order."""

    data: bytes
    datatype: str = ""
    """Triton's name of it: FP32, INT32, BYTES."""
    shape: tuple[int, ...] = ()
    """[images, ...]"""

    def rows(self, count: int) -> list["Tensor"]:
        """The part of each of `count` images.

        Raises:
            RefusedError: with `model_output` where it has no equal parts.
        """
        if self.datatype == BYTES:
            elements = [struct.pack("<I", len(text)) + text for text in self.elements()]
            size, rest = divmod(len(elements), count)
            parts = [b"".join(elements[row * size : (row + 1) * size]) for row in range(count)]
        else:
            size, rest = divmod(len(self.data), count)
            parts = [self.data[row * size : (row + 1) * size] for row in range(count)]
        if rest:
            raise invalid_model_output()
        return [Tensor(part, self.datatype, (1, *self.shape[1:])) for part in parts]

    def elements(self) -> list[bytes]:
        """The elements of a BYTES tensor.

        Raises:
            RefusedError: with `model_output` where its bytes are of another type.
        """
        if (elements := split_elements(self.data)) is None:
            raise invalid_model_output()
        return elements


@dataclass(frozen=True, slots=True)
class Outputs:
    """The tensors of one image, or of the images of one call, by name.

    Every method raises `RefusedError` with `model_output` where there is no such tensor, its bytes
    are of another type, or it does not have `count` elements (None: any number of them).
    """

    tensors: Mapping[str, Tensor]
    model_version: str = ""
    """Triton's version of the model that answered."""

    def rows(self, count: int) -> list[Self]:
        """The outputs of each image of a call about `count` images."""
        if count == 1:
            return [self]
        columns = {name: tensor.rows(count) for name, tensor in self.tensors.items()}
        return [
            type(self)({name: column[row] for name, column in columns.items()}, self.model_version)
            for row in range(count)
        ]

    def floats(self, name: str, count: int | None = None) -> list[float]:
        """FP32 numbers, each as the shortest decimal that means it: 0.37, not 0.3700000047."""
        return [float(str(number)) for number in self._numbers(name, "<f4", count)]

    def ints(self, name: str, count: int | None = None) -> list[int]:
        """INT32 numbers."""
        return [int(number) for number in self._numbers(name, "<i4", count)]

    def strings(self, name: str, count: int | None = None) -> list[bytes]:
        """The elements of a BYTES tensor."""
        elements = self._tensor(name).elements()
        if count not in {None, len(elements)}:
            raise invalid_model_output()
        return elements

    def text(self, name: str) -> str:
        """The one element of a BYTES tensor, in UTF-8."""
        (element,) = self.strings(name, 1)
        try:
            return element.decode()
        except UnicodeDecodeError:
            raise invalid_model_output() from None

    def _numbers(self, name: str, dtype: str, count: int | None) -> NDArray[np.generic]:
        data = self._tensor(name).data
        if len(data) % 4 or count not in {None, len(data) // 4}:
            raise invalid_model_output()
        return np.frombuffer(data, dtype)

    def _tensor(self, name: str) -> Tensor:
        if name not in self.tensors:
            raise invalid_model_output()
        return self.tensors[name]
