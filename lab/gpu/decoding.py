"""Measures decoding on the CPU, for comparison with a GPU."""

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from inference.decode import decode
from inference.rules import DecodeRules
from pipelines.spec import PipelineSpec


def images_per_core_second(photos: Sequence[bytes], spec: PipelineSpec, seconds: float) -> float:
    """JPEGs that one core decodes and resizes in a second of its time, exactly as in training."""
    rules, done = replace(DecodeRules.from_spec(spec.model_dump(mode="json")), reserve=None), 0
    decode(photos[0], rules)
    start = time.thread_time()
    while (taken := time.thread_time() - start) < seconds:
        decode(photos[done % len(photos)], rules)
        done += 1
    return done / taken


def cores(images_per_second: float, per_core: float) -> int:
    """Cores that keep up with a rate, if they do nothing else."""
    return math.ceil(images_per_second / per_core)


def photos_of(folder: Path) -> list[bytes]:
    """All JPEGs of a folder."""
    return [path.read_bytes() for path in sorted(folder.glob("*.jpg"))]
