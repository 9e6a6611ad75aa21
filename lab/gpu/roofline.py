"""Measures a device's limits: arithmetic, and memory bandwidth.

A network that needs F operations and B bytes an image takes at least max(F / peak, B / bandwidth)
seconds: Williams, Waterman, Patterson, "Roofline" (2009).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

_TRIES = 5
_TERA, _GIGA = 1e12, 1e9


@dataclass(frozen=True)
class Roofline:
    """The limits of a device in one precision."""

    flops: float
    """Floating-point operations a second of a large matrix product."""
    bandwidth: float
    """Bytes a second, read and written, of a large copy."""

    def seconds(self, flops: float, size: float) -> float:
        """Least time for so many operations and bytes."""
        return max(flops / self.flops, size / self.bandwidth)

    def bound(self, flops: float, size: float) -> str:
        """Which of the two limits."""
        return "arithmetic" if flops / self.flops >= size / self.bandwidth else "memory"

    def __str__(self) -> str:
        return f"{self.flops / _TERA:.2f} TFLOP/s, {self.bandwidth / _GIGA:.0f} GB/s"


def measure(device: torch.device, dtype: torch.dtype, side: int, size: int) -> Roofline:
    """Of a product of two square matrices, and a copy.

    Args:
        device: the device.
        dtype: of the matrices.
        side: of the matrices.
        size: bytes of what is copied; more than the device's caches hold.
    """
    one = torch.randn(side, side, device=device).to(dtype)
    other = torch.randn(side, side, device=device).to(dtype)
    out = torch.empty_like(one)
    # A multiplication and an addition for each of side^3.
    flops = 2 * side**3 / best_seconds(lambda: torch.matmul(one, other, out=out), device)
    source = torch.zeros(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return Roofline(flops, 2 * size / best_seconds(lambda: target.copy_(source), device))


def best_seconds(work: Callable[[], object], device: torch.device, least: float = 0.05) -> float:
    """Shortest time of some work, over tries that are each `least` seconds long or more."""
    work()
    count = max(1, round(least / max(_seconds(work, 1, device), 1e-7)))
    return min(_seconds(work, count, device) for _ in range(_TRIES)) / count


def _seconds(work: Callable[[], object], count: int, device: torch.device) -> float:
    _finish(device)
    start = time.perf_counter()
    for _ in range(count):
        work()
    _finish(device)
    return time.perf_counter() - start


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
