"""`bentoml serve lab.bench.contenders.bentoml.app:Classifier`: a process a core, one thread each.

With BentoML's adaptive batching. A batchable endpoint takes a list of files; a caller with one
photo sends a list of one, and gets one.
"""

import os
from pathlib import Path
from typing import Any

import bentoml

from lab.bench.ensemble import opened
from lab.bench.plan import Plan

_BATCH = 8


@bentoml.service(
    workers=os.cpu_count(),
    threads=1,
    traffic={"timeout": 120},
    logging={"access": {"enabled": False}},
    http={"host": "127.0.0.1", "port": int(os.environ["PORT"])},
)
class Classifier:
    """One worker with the models."""

    def __init__(self) -> None:
        self._model = opened(Plan.of_environment(), threads=1)

    @bentoml.api(route="/predict", batchable=True, max_batch_size=_BATCH, max_latency_ms=60000)
    def predict(self, file: list[Path]) -> list[dict[str, Any]]:
        """Class probabilities, or detections, of each photo."""
        photos = [self._model.decode(photo.read_bytes()) for photo in file]
        return [self._model.answer(found) for found in self._model.run(photos)]
