"""Puts the parts together; `create_app(settings)` is all that others need."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI

from gateway import problems
from gateway.access import Access
from gateway.admission import Admission
from gateway.catalog import Catalog
from gateway.dataplane import Dataplane
from gateway.keys import Keys
from gateway.metrics import Metrics
from gateway.middleware import ExchangeMiddleware
from gateway.predictions import Predictions
from gateway.readiness import Readiness
from gateway.routes import pipeline_routes, prediction_routes
from gateway.service_routes import service_routes
from gateway.settings import Settings
from gateway.triton import Triton


def create_app(settings: Settings) -> FastAPI:
    """The gateway as an ASGI application; it finds Triton by itself, now or later.

    Raises:
        KeysError: the file of API keys cannot be used.
    """
    keys = Keys.read(settings.api_keys_file) if settings.api_keys_file else None
    metrics = Metrics()
    triton = Triton(settings.triton_address)
    catalog = Catalog(triton)
    readiness = Readiness(triton, catalog, settings.readiness_interval_seconds)
    admission = Admission(
        settings.max_in_flight, settings.max_in_flight_bytes, metrics, lambda: triton.left_behind
    )
    dataplane = Dataplane(triton, catalog, readiness, metrics, settings.batch_concurrency)
    predictions = Predictions(settings, catalog, admission, dataplane)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        triton.open()
        watch = asyncio.create_task(readiness.watch())
        yield
        watch.cancel()
        with suppress(asyncio.CancelledError):
            await watch
        await triton.close()

    app = FastAPI(
        title="Second Opinion",
        description="A photo in, a second opinion out.",
        lifespan=lifespan,
        redirect_slashes=False,
    )
    app.state.readiness = readiness
    access = Access(keys, metrics)
    default = settings.default_pipeline
    app.include_router(prediction_routes(predictions, default, access))
    app.include_router(pipeline_routes(catalog, readiness, default, access))
    # Beyond loopback the metrics, too, need a key.
    metrics_access = Access(None, metrics) if settings.loopback else access
    app.include_router(service_routes(catalog, readiness, metrics, metrics_access))
    problems.install(app)
    app.add_middleware(ExchangeMiddleware, metrics=metrics)
    return app
