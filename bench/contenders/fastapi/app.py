"""`python -m bench.contenders.fastapi.app`: uvicorn, one worker with as many threads as cores.

An endpoint that is no coroutine runs in FastAPI's thread pool, and Pillow and ONNX Runtime let go
of the GIL. One thread for the model in each: more would take turns on the same core. A worker for
each core is slower, because connections are dealt out to workers by chance.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import uvicorn
from fastapi import FastAPI, Request, UploadFile

from bench.opinion import Opinion
from bench.plan import Plan


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    anyio.to_thread.current_default_thread_limiter().total_tokens = os.cpu_count() or 1
    app.state.opinion = Opinion(Plan.of_environment(), threads=1)
    yield


app = FastAPI(lifespan=_lifespan)


@app.post("/predict")
def predict(request: Request, file: UploadFile) -> dict[str, dict[str, float]]:
    """Class probabilities of one photo."""
    opinion: Opinion = request.app.state.opinion
    pixels = opinion.decode(file.file.read())
    return opinion.answer(opinion.probabilities([pixels])[0])


if __name__ == "__main__":
    uvicorn.run(
        "bench.contenders.fastapi.app:app",
        port=int(os.environ["PORT"]),
        log_level="warning",
        access_log=False,
    )
