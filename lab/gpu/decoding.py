"""What decoding costs on the CPU beside a GPU."""

import math
import time
from collections.abc import Sequence
from pathlib import Path

from lab.bench.photo import Recipe, decode
from pipelines.spec import PipelineSpec


def images_per_core_second(photos: Sequence[bytes], spec: PipelineSpec, seconds: float) -> float:
    """JPEGs that one core decodes and resizes in a second of its time, exactly as in training."""
    size, interpolation = spec.preprocessing.size, spec.preprocessing.interpolation
    if size is None or interpolation is None:
        raise ValueError(f"{spec.name} keeps images' sizes")
    recipe, done = Recipe(*size, interpolation), 0
    decode(photos[0], recipe)
    start = time.thread_time()
    while (taken := time.thread_time() - start) < seconds:
        decode(photos[done % len(photos)], recipe)
        done += 1
    return done / taken


def cores(images_per_second: float, per_core: float) -> int:
    """Cores that keep up with a rate, if they do nothing else."""
    return math.ceil(images_per_second / per_core)


def photos_of(folder: Path) -> list[bytes]:
    """All JPEGs of a folder."""
    return [path.read_bytes() for path in sorted(folder.glob("*.jpg"))]
