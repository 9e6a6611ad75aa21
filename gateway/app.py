"""The gateway as an application: `create_app(settings)` builds its parts and connects them."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

from fastapi import APIRouter, FastAPI
from sqlalchemy import Engine
from starlette.middleware.cors import CORSMiddleware

from database.engine import open_engine, require_schema
from database.releases import states_in as release_states
from database.writer import Writer
from gateway import VERSION
from gateway.audit.audit_log import AuditLog, WriterMetrics
from gateway.audit.idempotency import HEADER as KEY
from gateway.audit.idempotency import REPLAYED, Idempotency
from gateway.audit.reading import AuditReader
from gateway.core.admission import Admission
from gateway.core.assignment import Assignment, ReleaseStates
from gateway.core.batching import Batching
from gateway.core.catalog import Catalog
from gateway.core.memory import give_back
from gateway.core.readiness import Readiness
from gateway.core.request import KEEP_IMAGE, RELEASE, RESPOND_WITHIN, SIGNED_RECEIPT, SUBJECT
from gateway.dataplane import Dataplane
from gateway.feedback.answered import AnsweredPredictions
from gateway.feedback.listing import FeedbackListing
from gateway.feedback.records import FeedbackRecords
from gateway.grpc.health import Health
from gateway.grpc.inference import Inference
from gateway.grpc.reception import Reception
from gateway.grpc.server import GrpcServer
from gateway.grpc.standard_health import StandardHealth
from gateway.http import openapi, problems
from gateway.http.access import Access
from gateway.http.audit_routes import audit_routes
from gateway.http.connection_limits import ConnectionLimits
from gateway.http.docs import docs_routes
from gateway.http.feedback_routes import feedback_routes
from gateway.http.kserve import Kserve, kserve_routes
from gateway.http.middleware import RequestContextMiddleware
from gateway.http.oidc_routes import oidc_routes
from gateway.http.page import page_routes
from gateway.http.predictions import Predictions
from gateway.http.release_routes import release_routes
from gateway.http.routes import pipeline_routes, prediction_routes
from gateway.http.served_routes import served_routes
from gateway.http.service_routes import service_routes
from gateway.http.session_routes import session_routes
from gateway.http.usage_routes import usage_routes
from gateway.identity.authentication import Authenticator
from gateway.identity.budgets import LOW, Budgets
from gateway.identity.rate_limits import OwnCounter, RateLimits
from gateway.identity.sessions import Sessions
from gateway.identity.shared_rates import SharedCounter
from gateway.kept_images.keeper import KeptImages
from gateway.kserve.models import Models
from gateway.release_changes import ReleaseChanges
from gateway.release_watch.watch import ReleaseWatch
from gateway.replays import Replays
from gateway.secret_files import SecretFiles
from gateway.settings import Settings
from gateway.shadow.traffic import ShadowTraffic, Spare
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.recorder import HEADER, InferenceTelemetry
from gateway.telemetry.tracing import Tracing
from gateway.tls import ServerTls, TritonCertificate
from gateway.triton.client import TritonClient
from gateway.usage.prices import Prices
from gateway.usage.usage import Capacity, Usage
from pipelines.release_mirror import mirror

_FACTS_SECONDS = 2.0
"""How long a message over gRPC that brings no image may take to come."""


def create_app(settings: Settings) -> FastAPI:
    """The gateway as an ASGI application; it finds Triton by itself, now or later.

    `state.grpc_server` is to be opened once the application has started up; the application
    closes it when it shuts down. `state.connection_limits` and `state.tls` are for the connections
    of its server.

    Raises:
        SecretError: a secret is missing or not usable.
        TlsError: the files of TLS cannot be used.
    """
    engine = open_engine(settings.database_url)
    authenticator = Authenticator.of(settings, engine)
    # For descriptions and names of pipelines.
    descriptions = Authenticator() if settings.public_descriptions else authenticator
    triton = _triton(settings)
    states, catalog = _catalog(settings, engine, triton)
    readiness = Readiness(
        triton,
        catalog,
        settings.readiness_interval_seconds,
        default=settings.default_pipeline,
        server_url=settings.server_readiness_url,
    )
    batching = Batching(triton, settings.triton_calls)
    admission = Admission(
        settings.max_in_flight,
        settings.max_in_flight_bytes,
        catalog.names,
        largest=max(settings.batch_bytes, settings.largest_message),
        caller_share=settings.caller_share,
        wait=settings.max_wait_seconds,
        respond_within=settings.respond_within_ms and settings.respond_within_ms / 1000,
        explanations=settings.max_explanations,
    )
    metrics = Metrics(lambda: admission.in_flight)
    tls = ServerTls(settings.tls, metrics) if settings.tls.on else None
    secrets = SecretFiles(settings.secrets_dir, made=settings.embedded_database)
    writer = _writer(settings, engine, metrics, readiness)
    audit = AuditLog(writer, secrets)
    telemetry = InferenceTelemetry(metrics, audit.refused, _tracing(settings))
    replays = Replays(Idempotency(audit, secrets.pepper(), settings.idempotency_seconds))
    kept_images = KeptImages(
        settings.kept_images,
        secrets,
        engine,
        audit,
        failed=lambda step: metrics.kept_image_failures.labels(step).inc(),
    )
    shadow = ShadowTraffic(
        states,
        catalog,
        admission,
        triton,
        audit=audit,
        metrics=metrics,
        spare=Spare(settings.shadow_below, settings.shadow_time_share),
    )
    dataplane = Dataplane(
        batching,
        catalog,
        readiness,
        telemetry,
        assignment=Assignment(states, catalog, secrets.pepper()),
        audit=audit,
        images=kept_images,
        budgets=_budgets(settings, engine, metrics),
        rate_limits=_rate_limits(settings, engine),
        batch_concurrency=settings.batch_concurrency,
        shadow=shadow,
    )
    usage = Usage(
        engine,
        _prices(settings),
        Capacity(settings.capacity_cpu_cores, settings.capacity_gpus),
    )
    models = Models(catalog, readiness, triton)
    facts, images = _receptions(settings)
    grpc_server = GrpcServer(
        settings,
        telemetry,
        Health(authenticator, descriptions, models, facts),
        Inference(
            authenticator,
            images,
            admission,
            catalog,
            dataplane,
            replays,
            settings.deadline_seconds,
        ),
        StandardHealth(descriptions, models, facts),
        tls=tls,
    )
    releases = ReleaseChanges(audit, engine, catalog, settings.model_repository)
    release_watch = _release_watch(settings, engine, releases, catalog, metrics)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await asyncio.to_thread(require_schema, engine)
        writer.start()
        await authenticator.begin()
        triton.open()
        watch = asyncio.gather(
            readiness.watch(),
            states.watch(catalog),
            shadow.watch(),
            release_watch.watch(),
            usage.watch(),
            replays.watch(),
            audit.watch(),
            kept_images.watch(),
            give_back(),
            authenticator.watch(),
            *_certificate_watches(settings, tls, triton, metrics),
        )
        yield
        await grpc_server.close()
        await replays.drain()
        watch.cancel()
        with suppress(asyncio.CancelledError):
            await watch
        await triton.close()
        await audit.checkpoint()
        await asyncio.gather(writer.close(), asyncio.to_thread(telemetry.close))
        engine.dispose()

    app = FastAPI(
        title="Second Opinion",
        version=VERSION,
        description="A photo in, a second opinion out.",
        lifespan=lifespan,
        redirect_slashes=False,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
    )
    app.state.readiness, app.state.telemetry, app.state.grpc_server = (
        readiness,
        telemetry,
        grpc_server,
    )
    app.state.connection_limits, app.state.tls, app.state.audit, app.state.authenticator = (
        ConnectionLimits(settings, metrics),
        tls,
        audit,
        authenticator,
    )
    access, description_access = _access(settings, secrets, authenticator, descriptions)
    for router in (
        prediction_routes(
            Predictions(settings, catalog, admission, dataplane, replays),
            settings.default_pipeline,
            access,
        ),
        pipeline_routes(catalog, readiness, admission, settings.default_pipeline, access),
        kserve_routes(
            Kserve(settings, catalog, admission, dataplane, models, replays),
            access,
            description_access,
        ),
        service_routes(catalog, readiness, metrics, access, description_access),
        usage_routes(usage, access),
        served_routes(catalog, usage, access),
        audit_routes(AuditReader(audit, engine), access),
        docs_routes(description_access),
        _feedback_routes(
            AnsweredPredictions(engine),
            audit,
            catalog=catalog,
            secrets=secrets,
            images=kept_images,
            access=access,
        ),
        release_routes(releases, release_watch, catalog, access),
        page_routes(),
        session_routes(authenticator, access),
        oidc_routes(authenticator.code_flow, access.sessions),
    ):
        app.include_router(router)
    problems.install(app)
    _allow_origins(app, settings)
    app.openapi = partial(openapi.document, app)  # type: ignore[method-assign]
    app.add_middleware(
        RequestContextMiddleware,
        telemetry=telemetry,
        certificates_required=settings.tls.certificates_required,
    )
    return app


def _feedback_routes(
    answered: AnsweredPredictions,
    audit: AuditLog,
    *,
    catalog: Catalog,
    secrets: SecretFiles,
    images: KeptImages,
    access: Access,
) -> APIRouter:
    records = FeedbackRecords(answered, audit, catalog, secrets.pepper())
    return feedback_routes(answered, records, FeedbackListing(answered, audit), images, access)


def _catalog(
    settings: Settings, engine: Engine, triton: TritonClient
) -> tuple[ReleaseStates, Catalog]:
    repository = settings.model_repository
    follow = None if repository is None else partial(mirror, repository=repository)
    states = ReleaseStates(partial(release_states, engine), follow)
    return states, Catalog(triton, states.current)


def _release_watch(
    settings: Settings,
    engine: Engine,
    releases: ReleaseChanges,
    catalog: Catalog,
    metrics: Metrics,
) -> ReleaseWatch:
    watch = ReleaseWatch(engine, releases, catalog, settings.watch_rollback)
    metrics.watch_releases(watch.figures, watch.undone)
    return watch


def _prices(settings: Settings) -> Prices:
    return Prices(settings.price_cpu_hour, settings.price_gpu_hour, settings.price_currency)


def _budgets(settings: Settings, engine: Engine, metrics: Metrics) -> Budgets:
    budgets = Budgets(engine, _prices(settings), settings.default_budget)
    metrics.budgets.labels("low").set_function(lambda: budgets.callers(LOW, 1))
    metrics.budgets.labels("spent").set_function(lambda: budgets.callers(1))
    return budgets


def _rate_limits(settings: Settings, engine: Engine) -> RateLimits:
    counter = SharedCounter(engine) if settings.rates_shared else OwnCounter()
    return RateLimits(counter, settings.default_rate)


def _access(
    settings: Settings, secrets: SecretFiles, *authenticators: Authenticator
) -> list[Access]:
    """For each authenticator what asks it, with the sessions of browsers where callers log in."""
    sessions = None
    if settings.identity_required:
        sessions = Sessions(settings.session_seconds, secrets.pepper())
    return [Access(authenticator, sessions) for authenticator in authenticators]


def _allow_origins(app: FastAPI, settings: Settings) -> None:
    """Lets the pages of other origins ask from a browser, where the settings name them."""
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=[
                "Authorization",
                "X-API-Key",
                KEEP_IMAGE,
                RESPOND_WITHIN,
                SIGNED_RECEIPT,
                SUBJECT,
                RELEASE,
                HEADER,
                KEY,
            ],
            expose_headers=[
                HEADER,
                REPLAYED,
                "Retry-After",
                "RateLimit",
                "RateLimit-Policy",
                "Budget-Warning",
            ],
        )


def _receptions(settings: Settings) -> tuple[Reception, Reception]:
    """Of messages that bring no image, and of those that do."""
    # What needs no key has turns of its own: it keeps no image waiting.
    turns, size = max(1, settings.receptions // 4), settings.largest_message
    facts = Reception(turns, size, _FACTS_SECONDS)
    return facts, Reception(settings.receptions - turns, size, settings.grpc_message_seconds)


def _writer(settings: Settings, engine: Engine, metrics: Metrics, readiness: Readiness) -> Writer:
    writer = Writer(engine, settings.name, WriterMetrics(metrics))
    readiness.can_account = lambda: writer.available
    metrics.watch_audit(lambda: writer.waiting, lambda: writer.available)
    return writer


def _triton(settings: Settings) -> TritonClient:
    tls = settings.triton_tls
    spare = TritonClient(settings.spare_triton, tls) if settings.spare_triton else None
    return TritonClient(settings.triton_address, tls, spare)


def _certificate_watches(
    settings: Settings, tls: ServerTls | None, triton: TritonClient, metrics: Metrics
) -> Iterator[Coroutine[Any, Any, None]]:
    """What reads TLS files again when they change."""
    if tls:
        yield tls.watch()
    if triton.tls:
        yield TritonCertificate(settings.triton_tls, triton, metrics).watch()


def _tracing(settings: Settings) -> Tracing | None:
    if settings.otlp_endpoint is None:
        return None
    return Tracing(settings.otlp_endpoint, settings.trace_share)
