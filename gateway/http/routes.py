"""The routes about images and pipelines, with their documentation."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response

from gateway.core.catalog import Catalog
from gateway.core.readiness import Readiness
from gateway.http.access import Access
from gateway.http.openapi import MANY_IMAGES, ONE_IMAGE, PROBLEMS
from gateway.http.predictions import Predictions
from gateway.results import schemas
from gateway.results.description import described
from gateway.results.task_handlers import Form
from gateway.telemetry.request_context import exchange_of

Answer = Callable[[Request, str], Awaitable[Response]]
"""What answers a request about the pipeline of a name."""

# The pipeline's task decides which of the shapes it is.
_BASIC = schemas.Prediction | schemas.DetectionPrediction
_ADVANCED = schemas.AdvancedPrediction | schemas.DetectionPrediction
_FLAT = schemas.FlatPrediction | schemas.DetectionPrediction
_BATCH = schemas.BatchPrediction | schemas.BatchDetectionPrediction


def prediction_routes(predictions: Predictions, default: str, access: Access) -> APIRouter:
    """`predict` and its kin, for the default pipeline and for any."""
    router = APIRouter(tags=["predictions"], dependencies=[Depends(access)], responses=PROBLEMS)

    def one(form: Form) -> Answer:
        return partial(predictions.one, form=form)

    def add(
        path: str,
        endpoint: Callable[..., Awaitable[Response]],
        shapes: object,
        summary: str,
        body: dict[str, Any] = ONE_IMAGE,
        *,
        shown: bool = True,
    ) -> None:
        router.add_api_route(
            path,
            endpoint,
            methods=["POST"],
            summary=summary,
            response_model=None,
            responses={200: {"model": shapes}},
            openapi_extra=body,
            include_in_schema=shown,
        )

    many = "What each image shows, or its error, and a summary."
    for path, answer, shapes, summary, body in (
        (Form.BASIC, one(Form.BASIC), _BASIC, "What an image shows.", ONE_IMAGE),
        (Form.ADVANCED, one(Form.ADVANCED), _ADVANCED, "The same in detail.", ONE_IMAGE),
        ("predict/batch", predictions.many, _BATCH, many, MANY_IMAGES),
    ):
        add(f"/api/v1/{path}", _of(default, path, answer), shapes, summary, body)
        add(f"/api/v1/pipelines/{{name}}/{path}", _of_any(path, answer), shapes, summary, body)
    flat = _of(default, Form.FLAT, one(Form.FLAT))
    for path in ("/predict", "/predict/"):
        add(path, flat, _FLAT, "The shape of older systems.", shown=path == "/predict")
    return router


def pipeline_routes(
    catalog: Catalog, readiness: Readiness, default: str, access: Access
) -> APIRouter:
    """What there is to ask."""
    router = APIRouter(
        prefix="/api/v1/pipelines", tags=["pipelines"], dependencies=[Depends(access)]
    )

    @router.get("", responses={200: {"model": schemas.PipelineList}})
    async def all_pipelines(request: Request) -> Response:
        """All pipelines, and the one of the routes that name none."""
        exchange_of(request.scope).route = "pipelines"
        if not catalog.pipelines():
            # An empty list would say that there are none; this says why none is known.
            await catalog.find(default)
        entries = [
            described(pipeline, ready=readiness.ready(pipeline.name))
            for pipeline in catalog.pipelines()
        ]
        return JSONResponse({"default": default, "pipelines": entries})

    @router.get(
        "/{name}", responses={200: {"model": schemas.PipelineDescription}, 404: PROBLEMS[404]}
    )
    async def one_pipeline(request: Request, name: str) -> Response:
        """One pipeline's facts."""
        exchange_of(request.scope).route = "pipeline"
        pipeline = await catalog.find(name)
        return JSONResponse(described(pipeline, ready=readiness.ready(name)))

    return router


def _of(name: str, route: str, answer: Answer) -> Callable[[Request], Awaitable[Response]]:
    async def of_default(request: Request) -> Response:
        exchange_of(request.scope).route = route
        return await answer(request, name)

    return of_default


def _of_any(route: str, answer: Answer) -> Callable[[Request, str], Awaitable[Response]]:
    async def of_any(request: Request, name: str) -> Response:
        exchange_of(request.scope).route = route
        return await answer(request, name)

    return of_any
