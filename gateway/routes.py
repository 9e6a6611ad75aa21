"""The routes about images and pipelines, with their documentation."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel
from starlette.responses import JSONResponse, Response

from gateway import render, schemas
from gateway.access import Access
from gateway.catalog import Catalog
from gateway.exchange import exchange_of
from gateway.openapi import MANY_IMAGES, ONE_IMAGE, PROBLEMS
from gateway.predictions import Predictions
from gateway.readiness import Readiness

Answer = Callable[[Request, str], Awaitable[Response]]
"""What answers a request about the pipeline of a name."""


def prediction_routes(predictions: Predictions, default: str, access: Access) -> APIRouter:
    """`predict` and its kin, for the default pipeline and for any."""
    router = APIRouter(tags=["predictions"], dependencies=[Depends(access)], responses=PROBLEMS)
    basic: Answer = partial(predictions.one, shape=render.basic)
    advanced: Answer = partial(predictions.one, shape=render.advanced)
    flat: Answer = partial(predictions.one, shape=render.flat)

    def add(
        path: str,
        endpoint: Callable[..., Awaitable[Response]],
        shape: type[BaseModel],
        body: dict[str, Any],
        *,
        shown: bool = True,
    ) -> None:
        router.add_api_route(
            path,
            endpoint,
            methods=["POST"],
            summary=shape.__doc__,
            response_model=None,
            responses={200: {"model": shape}},
            openapi_extra=body,
            include_in_schema=shown,
        )

    for path, answer, shape, body in (
        ("predict", basic, schemas.Prediction, ONE_IMAGE),
        ("predict/advanced", advanced, schemas.AdvancedPrediction, ONE_IMAGE),
        ("predict/batch", predictions.many, schemas.BatchPrediction, MANY_IMAGES),
    ):
        add(f"/api/v1/{path}", _of(default, path, answer), shape, body)
        add(f"/api/v1/pipelines/{{name}}/{path}", _of_any(path, answer), shape, body)
    for path in ("/predict", "/predict/"):
        shown = path == "/predict"
        add(path, _of(default, "flat", flat), schemas.FlatPrediction, ONE_IMAGE, shown=shown)
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
            render.described(pipeline, ready=readiness.ready(pipeline.name))
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
        return JSONResponse(render.described(pipeline, ready=readiness.ready(name)))

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
