"""Measures what images cost in a backend's process, and gathers it for the answer.

CPU time is the process's, with all threads of an engine, by the kernel's own count
(docs/decisions/0069). Standard library and NumPy only.
"""

import time
from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from pipelines.protocol import Compute, Spent

_HANDOVER_SECONDS = 0.01
"""CPU time since the last pass that counts to the next one, at most. Triton's part of the process
hands answers and requests over between passes. What an idle process takes is no image's."""

Float64 = NDArray[np.float64]


class Meter:
    """Measures the passes of one process, one after the other.

    CPU time is neither counted twice nor left out: what comes after a pass counts to the next one.
    """

    def __init__(self, *, on_gpu: bool = False) -> None:
        """Starts.

        Args:
            on_gpu: the process only waits for a GPU: a pass costs the time that it takes.
        """
        self._on_gpu = on_gpu
        self._from = time.process_time()
        self._began = time.monotonic()

    def begin(self) -> None:
        """A pass begins."""
        self._began = time.monotonic()
        self._from = max(self._from, time.process_time() - _HANDOVER_SECONDS)

    def exclude(self, seconds: float) -> None:
        """Leaves out CPU time that another thread has counted."""
        self._from += seconds

    def lap(self) -> float:
        """CPU seconds since the last lap, with the handover before the pass."""
        now = time.process_time()
        seconds, self._from = now - self._from, now
        return max(seconds, 0.0)

    def end(self, images: int) -> Float64:
        """What each image of the pass spent, [images, 3] (`Spent`); the next pass may begin."""
        seconds, now = self.lap(), time.monotonic()
        if self._on_gpu:
            seconds = now - self._began
        return spent(seconds / images, self._began, now, images)


def spent(seconds: float, began: float, ended: float, images: int = 1) -> Float64:
    """`Spent` of images that shared a pass equally, [images, 3]."""
    return np.tile(np.array([seconds, began, ended]), (images, 1))


def compute_tensor(
    images: int, parts: int, spent_by: Mapping[int, Float64], estimated: Collection[int]
) -> NDArray[np.float32]:
    """The output `compute` of N images, FP32 [N, parts, 4].

    Args:
        images: how many.
        parts: of the pipeline.
        spent_by: `Spent` [N, 3] of each part that ran, by its index.
        estimated: indices of those that did not measure it themselves.
    """
    table = np.full((images, parts, len(Compute)), np.nan, np.float32)
    table[:, :, Compute.SECONDS] = 0
    table[:, :, Compute.MEASURED] = 1
    now = time.monotonic()
    for part, facts in spent_by.items():
        table[:, part, Compute.SECONDS] = facts[:, Spent.SECONDS]
        table[:, part, Compute.MEASURED] = part not in estimated
        table[:, part, Compute.BEGAN] = now - facts[:, Spent.BEGAN]
        table[:, part, Compute.ENDED] = now - facts[:, Spent.ENDED]
    return table
