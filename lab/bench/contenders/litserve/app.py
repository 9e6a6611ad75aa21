"""`python -m lab.bench.contenders.litserve.app`: a worker for each core, one thread each.

The queue between the HTTP servers and the workers is the fast one (ZeroMQ), as LitServe's
documentation advises for many requests.
"""

import os
from typing import Any

import litserve
from fastapi import Request

from lab.bench.ensemble import opened
from lab.bench.plan import Plan


class Classifier(litserve.LitAPI):
    """The steps of a request, all of them in a worker."""

    def setup(self, device: str) -> None:
        """Opens the models, once a worker."""
        self._model = opened(Plan.of_environment(), threads=1)

    # LitServe looks at the annotation, and hands on the form of the request.
    def decode_request(self, request: Request) -> object:
        """Of the file in the form."""
        return self._model.decode(request["file"].file.read())

    def predict(self, photo: object) -> object:
        """Of one photo."""
        return self._model.run([photo])[0]

    def encode_response(self, output: object) -> dict[str, Any]:
        """The answer's JSON."""
        return self._model.answer(output)


if __name__ == "__main__":
    server = litserve.LitServer(
        Classifier(),
        accelerator="cpu",
        workers_per_device=os.cpu_count() or 1,
        fast_queue=True,
        timeout=False,
    )
    server.run(
        host="127.0.0.1",
        port=int(os.environ["PORT"]),
        log_level="warning",
        generate_client_file=False,
        access_log=False,
    )
