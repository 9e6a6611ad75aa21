"""`python -m lab.bench.contenders.fastapi.app`: uvicorn, one worker with as many threads as cores.

An endpoint that is no coroutine runs in FastAPI's thread pool, and Pillow and ONNX Runtime let go
of the GIL. One thread for the model in each: more would take turns on the same core. A worker for
each core is slower, because connections are dealt out to workers by chance.
"""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import uvicorn
from fastapi import FastAPI, UploadFile

from lab.bench.ensemble import Model, opened
from lab.bench.plan import Plan

CORES = os.cpu_count() or 1


def serve(open_model: Callable[[], Model[Any, Any]]) -> None:
    """Serves until it is told to stop.

    Args:
        open_model: opens the models, once.
    """
    model = open_model()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = CORES
        yield

    app = FastAPI(lifespan=lifespan)

    @app.post("/predict")
    def predict(file: UploadFile) -> dict[str, Any]:
        """Class probabilities, or detections, of one photo."""
        photo = model.decode(file.file.read())
        return model.answer(model.run([photo])[0])

    uvicorn.run(app, port=int(os.environ["PORT"]), log_level="warning", access_log=False)


if __name__ == "__main__":
    serve(lambda: opened(Plan.of_environment(), threads=1))
