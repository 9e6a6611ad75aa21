"""Measures the CPU time of artefacts: one thread, one image, artefacts in turn."""

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from export.quiet import quiet
from pipelines import protocol
from pipelines.enums import Format

ROUNDS_FEWEST, ROUNDS_MOST = 5, 40
SECONDS = 8
"""About how long the measuring may take, once `ROUNDS_FEWEST` are done."""


def cpu_ms(
    artefacts: dict[str, tuple[Path, Format]], image: NDArray[np.uint8], *, batched: bool
) -> dict[str, float]:
    """The median CPU time in milliseconds of one image, by member.

    All members are measured in turns, so that what else the machine does falls on each alike:
    their ratios hold, also where the times themselves are shaken.

    Args:
        artefacts: file and format, by member.
        image: UINT8 [H, W, 3].
        batched: whether members take [N, H, W, 3]; else [H, W, 3].
    """
    pixels = image[None] if batched else image
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        runs = {name: _open(*artefact) for name, artefact in artefacts.items()}
        times: dict[str, list[float]] = {name: [] for name in runs}
        for run in runs.values():
            run(pixels)
        until = time.monotonic() + SECONDS
        for done in range(ROUNDS_MOST):
            if done >= ROUNDS_FEWEST and time.monotonic() > until:
                break
            for name, run in runs.items():
                start = time.process_time()
                run(pixels)
                times[name].append((time.process_time() - start) * 1000)
    finally:
        torch.set_num_threads(threads)
    return {name: statistics.median(each) for name, each in times.items()}


def _open(path: Path, format_: Format) -> Callable[[NDArray[np.uint8]], object]:
    if format_ is Format.TORCHSCRIPT:
        with quiet():
            module = torch.jit.load(path)  # type: ignore[no-untyped-call]
        return lambda pixels: _forward(module, pixels)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda pixels: session.run(None, {protocol.MEMBER_INPUT: pixels})


def _forward(module: Callable[[torch.Tensor], object], pixels: NDArray[np.uint8]) -> object:
    with torch.inference_mode():
        return module(torch.from_numpy(pixels))
