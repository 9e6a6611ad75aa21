"""The routes for images and pipelines: paths, who may ask, documentation."""

from collections.abc import Awaitable, Callable
from functools import partial

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from gateway.core.admission import Admission
from gateway.core.catalog import Catalog, Pipeline
from gateway.core.readiness import Readiness
from gateway.http.access import Access, principal_of
from gateway.http.openapi import (
    BATCH_PROBLEMS,
    MANY_IMAGES,
    NAMED_RELEASE,
    ONE_IMAGE,
    PROBLEMS,
    answer_of,
    problems,
)
from gateway.http.predictions import Predictions
from gateway.results.description import PipelineDescription, PipelineList, describe
from gateway.results.shapes import adapter
from gateway.results.task_handlers import Form
from gateway.telemetry.recorder import RequestContext

Answer = Callable[[Request, str], Awaitable[Response]]
"""Answers a request about the pipeline of a name."""

_SUMMARIES = {
    Form.BASIC: "What an image shows.",
    Form.ADVANCED: "What an image shows, in detail.",
    Form.BATCH: "What each image shows, or its error, and a summary.",
    Form.FLAT: "What an image shows, in the shape of older systems.",
}


def prediction_routes(predictions: Predictions, default: str, access: Access) -> APIRouter:
    """`predict` in all its forms, for the default pipeline and for any."""
    router = APIRouter(tags=["predictions"], dependencies=[Depends(access)])

    def add(
        path: str, endpoint: Callable[..., Awaitable[Response]], form: Form, operation: str
    ) -> None:
        many = form is Form.BATCH
        # The pipeline's task decides which of the form's shapes it is.
        responses = {**(BATCH_PROBLEMS if many else PROBLEMS), 200: answer_of(form)}
        router.add_api_route(
            path,
            endpoint,
            methods=["POST"],
            operation_id=operation,
            summary=_SUMMARIES[form],
            response_model=None,
            responses=responses,
            openapi_extra=MANY_IMAGES if many else ONE_IMAGE,
        )

    for form in (Form.BASIC, Form.ADVANCED, Form.BATCH):
        answer = predictions.many if form is Form.BATCH else partial(predictions.one, form=form)
        operation = form.replace("/", "_")
        add(f"/api/v1/{form}", _of(default, form, answer), form, operation)
        path = f"/api/v1/pipelines/{{name}}/{form}"
        add(path, _of_any(form, answer), form, f"pipeline_{operation}")
    flat = _of(default, Form.FLAT, partial(predictions.one, form=Form.FLAT))
    add("/predict", flat, Form.FLAT, "predict_flat")
    return router


def pipeline_routes(
    catalog: Catalog, readiness: Readiness, admission: Admission, default: str, access: Access
) -> APIRouter:
    """The pipelines that may be asked."""

    def described(pipeline: Pipeline) -> PipelineDescription:
        promised = admission.promised(pipeline.spec.serving.respond_within)
        return describe(pipeline, ready=readiness.ready(pipeline.name), promised=promised)

    router = APIRouter(
        prefix="/api/v1/pipelines", tags=["pipelines"], dependencies=[Depends(access)]
    )

    @router.get(
        "",
        operation_id="list_pipelines",
        responses={**problems(401, 503), 200: {"model": PipelineList}},
    )
    async def all_pipelines(request: Request) -> Response:
        """The pipelines that the caller may ask, and the one of the routes that name none."""
        request.state.context.route = "pipelines"
        if not catalog.pipelines():
            # An empty list would say that there are none; this says why none is known.
            await catalog.find(default)
        caller = principal_of(request)
        entries = [
            described(pipeline) for pipeline in catalog.pipelines() if caller.covers(pipeline.name)
        ]
        own_default = default if caller.covers(default) else None
        return _json(PipelineList, PipelineList(default=own_default, pipelines=entries))

    @router.get(
        "/{name}",
        operation_id="get_pipeline",
        responses={**problems(401, 403, 404, 422, 503), 200: {"model": PipelineDescription}},
        openapi_extra={"parameters": [NAMED_RELEASE]},
    )
    async def one_pipeline(request: Request, name: str) -> Response:
        """One pipeline's facts: of the release that serves, or that an operator names."""
        context: RequestContext = request.state.context
        context.route = "pipeline"
        caller = principal_of(request)
        caller.require_covered(name)
        pipeline = await catalog.find(name, caller.covers)
        context.read_release(request.headers.get)
        if context.release is not None:
            pipeline = await catalog.named(name, context.release)
        return _json(PipelineDescription, described(pipeline))

    return router


def _json(shape: type, answer: PipelineList | PipelineDescription) -> Response:
    return Response(adapter(shape).dump_json(answer), media_type="application/json")


def _of(name: str, route: str, answer: Answer) -> Callable[[Request], Awaitable[Response]]:
    async def of_default(request: Request) -> Response:
        request.state.context.route = route
        return await answer(request, name)

    return of_default


def _of_any(route: str, answer: Answer) -> Callable[[Request, str], Awaitable[Response]]:
    async def of_any(request: Request, name: str) -> Response:
        request.state.context.route = route
        return await answer(request, name)

    return of_any
