"""Puts the parts together; `create_app(settings)` is all that others need."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI

from gateway.core.admission import Admission
from gateway.core.batching import Batching
from gateway.core.catalog import Catalog
from gateway.core.readiness import Readiness
from gateway.dataplane import Dataplane
from gateway.grpc.health import Health
from gateway.grpc.inference import Inference
from gateway.grpc.server import Door
from gateway.http import problems
from gateway.http.access import Access
from gateway.http.middleware import ExchangeMiddleware
from gateway.http.predictions import Predictions
from gateway.http.routes import pipeline_routes, prediction_routes
from gateway.http.service_routes import service_routes
from gateway.identity.api_keys import Keys
from gateway.settings import Settings
from gateway.telemetry.inference import Tally
from gateway.telemetry.metrics import Metrics
from gateway.triton.client import Triton


def create_app(settings: Settings) -> FastAPI:
    """The gateway as an ASGI application; it finds Triton by itself, now or later.

    `state.door` is its gRPC side: to be opened once the application has started up; the
    application closes it when it shuts down.

    Raises:
        KeysError: the file of API keys cannot be used.
    """
    keys = Keys.read(settings.api_keys_file) if settings.api_keys_file else None
    metrics = Metrics()
    tls = settings.triton_tls
    spare = Triton(settings.spare_triton, tls) if settings.spare_triton else None
    triton = Triton(settings.triton_address, tls, spare)
    catalog = Catalog(triton)
    readiness = Readiness(triton, catalog, settings.readiness_interval_seconds)
    batching = Batching(triton, settings.triton_calls)
    admission = Admission(
        settings.max_in_flight,
        settings.max_in_flight_bytes,
        metrics,
        lambda: triton.left_behind + batching.left_behind,
        wait=settings.max_wait_seconds,
    )
    tally = Tally(metrics, readiness)
    dataplane = Dataplane(batching, catalog, tally, settings.batch_concurrency)
    predictions = Predictions(settings, catalog, admission, dataplane)
    access = Access(keys, metrics)
    door = Door(
        settings,
        metrics,
        Health(access, catalog, readiness, triton),
        Inference(
            access=access,
            admission=admission,
            catalog=catalog,
            tally=tally,
            triton=triton,
            seconds=settings.deadline_seconds,
        ),
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        triton.open()
        watch = asyncio.create_task(readiness.watch())
        yield
        await door.close()
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
    app.state.door = door
    default = settings.default_pipeline
    app.include_router(prediction_routes(predictions, default, access))
    app.include_router(pipeline_routes(catalog, readiness, default, access))
    # Beyond loopback the metrics, too, need a key.
    metrics_access = Access(None, metrics) if settings.loopback else access
    app.include_router(service_routes(catalog, readiness, metrics, metrics_access))
    problems.install(app)
    app.add_middleware(ExchangeMiddleware, metrics=metrics)
    return app
