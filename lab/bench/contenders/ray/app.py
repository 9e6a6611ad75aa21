"""`python -m lab.bench.contenders.ray.app`: a replica for each core, one thread each.

The environment switches on what Ray's guide to high throughput advises (lab/bench/peers.py).
"""

import os
import signal
import tempfile

import ray
from ray import serve
from starlette.requests import Request

from lab.bench.ensemble import Ensemble
from lab.bench.plan import Plan

_CORES = os.cpu_count() or 1
_IN_A_REPLICA = 32


class Classifier:
    """One process with the models."""

    def __init__(self) -> None:
        self._ensemble = Ensemble(Plan.of_environment(), threads=1)

    async def __call__(self, request: Request) -> dict[str, dict[str, float]]:
        """Class probabilities of one photo."""
        async with request.form() as form:
            photo = form["file"]
            data = b"" if isinstance(photo, str) else await photo.read()
        pixels = self._ensemble.decode(data)
        return self._ensemble.answer(self._ensemble.probabilities([pixels])[0])


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
