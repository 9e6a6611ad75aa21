"""`python -m lab.bench.contenders.ray.app`: a replica for each core, one thread each.

The environment switches on what Ray's guide to high throughput advises
(lab/bench/other_servers.py).
"""

import os
import signal
import tempfile
from typing import Any

import ray
from ray import serve
from starlette.requests import Request

from lab.bench.ensemble import opened
from lab.bench.plan import Plan

_CORES = os.cpu_count() or 1
_IN_A_REPLICA = 32


class Classifier:
    """One process with the models."""

    def __init__(self) -> None:
        self._model = opened(Plan.of_environment(), threads=1)

    async def __call__(self, request: Request) -> dict[str, Any]:
        """Class probabilities, or detections, of one photo."""
        async with request.form() as form:
            photo = form["file"]
            data = b"" if isinstance(photo, str) else await photo.read()
        found = self._model.run([self._model.decode(data)])
        return self._model.answer(found[0])


deployment = serve.deployment(
    num_replicas=_CORES,
    ray_actor_options={"num_cpus": 1},
    max_ongoing_requests=_IN_A_REPLICA,
)

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    ray.init(
        num_cpus=_CORES,
        include_dashboard=False,
        _temp_dir=tempfile.gettempdir(),
        log_to_driver=False,
    )
    serve.start(http_options={"host": "127.0.0.1", "port": int(os.environ["PORT"])})
    try:
        serve.run(deployment(Classifier).bind(), route_prefix="/predict", blocking=True)
    finally:
        serve.shutdown()
        ray.shutdown()
