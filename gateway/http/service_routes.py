"""The routes for operators: liveness, readiness, metrics."""

from typing import Literal

from fastapi import APIRouter, Depends, Request
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from pydantic import ConfigDict, with_config
from starlette.responses import JSONResponse, PlainTextResponse, Response
from typing_extensions import TypedDict

from gateway.core.catalog import Catalog
from gateway.core.readiness import Readiness
from gateway.errors import Code, Problem, RefusedError
from gateway.http.access import Access, principal_of
from gateway.http.openapi import problems
from gateway.http.problems import problem_response
from gateway.identity.principal import Role
from gateway.telemetry.metrics import Metrics


@with_config(ConfigDict(extra="forbid"))
class Health(TypedDict):
    """The process lives."""

    status: Literal["alive"]


@with_config(ConfigDict(extra="forbid"))
class ReadinessReport(TypedDict):
    """The state of each pipeline by name, of those that the caller covers."""

    ready: bool
    pipelines: dict[str, bool]


@with_config(ConfigDict(extra="forbid"))
class ReadinessProblem(Problem, ReadinessReport):
    """The default pipeline is not ready, or not the one that was asked for."""


def service_routes(
    catalog: Catalog,
    readiness: Readiness,
    metrics: Metrics,
    access: Access,
    description_access: Access,
) -> APIRouter:
    """Probes need no key.

    Args:
        catalog: the pipelines.
        readiness: their states.
        metrics: what is scraped.
        access: who may scrape, with the role `operate`.
        description_access: who may read, and use, the names of pipelines in readiness.
    """
    router = APIRouter(tags=["service"])

    @router.get("/healthz", operation_id="health", responses={**problems(), 200: {"model": Health}})
    async def healthz(request: Request) -> Response:
        """The process lives."""
        request.state.context.quiet = True
        return JSONResponse(Health(status="alive"))

    # Where Triton has never answered, it is not known whether there is a pipeline of a name.
    unready = {
        "model": ReadinessProblem | Problem,
        "description": "The pipeline, or the service, is not ready: wait as Retry-After says.",
    }

    @router.get(
        "/readyz",
        operation_id="readiness",
        responses={**problems(401, 403, 404), 200: {"model": ReadinessReport}, 503: unready},
    )
    async def readyz(request: Request, pipeline: str | None = None) -> Response:
        """Ready where the default pipeline is, or the one that is asked for.

        At the start all pipelines are waited for. Without the default one, any other will do.
        Where callers must say who they are, only those who do are named pipelines, and their own.
        """
        request.state.context.quiet = True
        if pipeline is None:
            caller = await description_access.known(request)
            ready, states = readiness.all_ready(), readiness.states()
            states = {
                name: state
                for name, state in states.items()
                if caller is not None and caller.covers(name)
            }
        else:
            caller = await description_access.check(request)
            caller.require_covered(pipeline)
            ready = readiness.ready((await catalog.find(pipeline, caller.covers)).name)
            states = {pipeline: ready}
        report = ReadinessReport(ready=ready, pipelines=states)
        if report["ready"]:
            return JSONResponse(report)
        detail = "pipeline: it is not ready. Try again after the seconds in Retry-After."
        if not readiness.can_account():
            detail = "service: it cannot write its audit log, so it answers nothing."
        if readiness.draining:
            detail = "service: it is stopping. Send requests elsewhere."
        return problem_response(request, RefusedError(Code.UNAVAILABLE, detail), report)

    text = {"description": "Prometheus' text format.", "content": {"text/plain": {}}}

    @router.get(
        "/metrics",
        operation_id="metrics",
        dependencies=[Depends(access)],
        response_class=PlainTextResponse,
        responses={**problems(401, 403), 200: text},
    )
    async def read_metrics(request: Request) -> Response:
        """The gateway's metrics, for Prometheus."""
        request.state.context.quiet = True
        caller = principal_of(request)
        caller.require(Role.OPERATE)
        caller.require_all_covered()
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    return router
