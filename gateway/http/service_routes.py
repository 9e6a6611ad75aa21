"""The routes for operators: does the process live, is it ready, what does it count."""

from fastapi import APIRouter, Depends, Request
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.responses import JSONResponse, Response

from gateway.core.catalog import Catalog
from gateway.core.readiness import Readiness
from gateway.errors import Code
from gateway.http.access import Access
from gateway.http.openapi import PROBLEMS
from gateway.http.problems import problem_response
from gateway.results.schemas import Health, ReadinessReport
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.request_context import exchange_of


def service_routes(
    catalog: Catalog, readiness: Readiness, metrics: Metrics, metrics_access: Access
) -> APIRouter:
    """Probes need no key; who may read the metrics, `metrics_access` says."""
    router = APIRouter(tags=["service"])

    @router.get("/healthz", responses={200: {"model": Health}})
    async def healthz(request: Request) -> Response:
        """The process lives."""
        exchange_of(request.scope).quiet = True
        return JSONResponse({"status": "alive"})

    @router.get("/readyz", responses={200: {"model": ReadinessReport}, 503: PROBLEMS[503]})
    async def readyz(request: Request, pipeline: str | None = None) -> Response:
        """Ready where at least one pipeline is, or the one that is asked for."""
        exchange_of(request.scope).quiet = True
        if pipeline is None:
            states = readiness.states()
        else:
            states = {pipeline: readiness.ready((await catalog.find(pipeline)).name)}
        if any(states.values()):
            return JSONResponse({"ready": True, "pipelines": states})
        detail = "pipeline: none is ready. Try again after the seconds in Retry-After."
        if readiness.draining:
            detail = "service: it is stopping. Send requests elsewhere."
        more = {"ready": False, "pipelines": states}
        return problem_response(request, Code.UNAVAILABLE, detail, more)

    @router.get("/metrics", dependencies=[Depends(metrics_access)])
    async def read_metrics(request: Request) -> Response:
        """What the gateway counts, for Prometheus."""
        exchange_of(request.scope).quiet = True
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    return router
