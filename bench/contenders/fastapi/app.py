"""`python -m bench.contenders.fastapi.app`: uvicorn, as many workers as cores, one thread each.

An endpoint that is no coroutine runs in FastAPI's thread pool, so that the event loop goes on
receiving. One thread for the model in each worker: more would take turns on the same core.
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
    anyio.to_thread.current_default_thread_limiter().total_tokens = 1
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
        workers=os.cpu_count(),
        log_level="warning",
        access_log=False,
    )
