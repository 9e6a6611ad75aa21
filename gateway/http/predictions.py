"""The endpoints that take images: from an HTTP request to the dataplane and back."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive

from gateway.audit.idempotency import HEADER as KEY
from gateway.audit.idempotency import REPLAYED, Answer
from gateway.core.admission import Admission, ResponseTime
from gateway.core.catalog import Catalog, Pipeline
from gateway.core.request import Deadline, RequestParameters
from gateway.dataplane import Dataplane, InferenceRequest
from gateway.errors import CallerGoneError, Code, RefusedError, status_of
from gateway.http.body import Body
from gateway.http.problems import problem_response
from gateway.identity.principal import Role
from gateway.replays import Infer, Replays
from gateway.results import batch
from gateway.results.facts import ImageStamp, Stamp
from gateway.results.task_handlers import Form, handler_of
from gateway.settings import Settings
from gateway.telemetry.recorder import Outcome, RequestContext
from pipelines.protocol import Parameter

T = TypeVar("T")

_SLOW = "body: it came too slowly. Send a smaller one, or over a faster line."
_JSON = "application/json"
_LENGTH = "content-length"


@dataclass(frozen=True, slots=True)
class Predictions:
    """Answers requests that bring images."""

    settings: Settings
    catalog: Catalog
    admission: Admission
    dataplane: Dataplane
    replays: Replays

    async def one(self, request: Request, name: str, form: Form) -> Response:
        """An answer about one image, in the given form.

        Raises:
            RefusedError: why there is none.
            CallerGoneError: the caller hung up.
        """
        context: RequestContext = request.state.context
        deadline = Deadline.after(self.settings.deadline_seconds)
        pipeline, parameters = await self._begin(request, name)
        parameters = parameters.with_defaults(handler_of(pipeline).views[form].asks)
        body = Body.of_one(request, pipeline.spec.limits.bytes)
        wanted = ResponseTime(pipeline.spec.serving.respond_within, context.respond_within)
        caller, remaining = context.share_holder, deadline.remaining()
        with self.admission.enter(caller, pipeline.name, body.size, remaining, wanted) as holding:
            with context.stage("receive"):
                async with deadline.enforce(_SLOW):
                    image = await body.image(holding.receive)
            context.received([image], batch=False)
            asked = InferenceRequest(context, holding, pipeline, [image], parameters, deadline)
            render = partial(_one_answer, request, form)
            return await answered(request, self.replays, asked, self.dataplane.infer, render)

    async def many(self, request: Request, name: str) -> Response:
        """An answer about a batch; a problem where no image of it was answered.

        Raises:
            RefusedError: why the batch as a whole has no answer.
            CallerGoneError: the caller hung up.
        """
        context: RequestContext = request.state.context
        deadline = Deadline.after(self.settings.deadline_seconds)
        pipeline, parameters = await self._begin(request, name)
        if parameters.values.get(Parameter.VISUALIZATION, "false") != "false":
            # A hundred pictures in one answer would be no answer.
            raise RefusedError(
                Code.PARAMETER_INVALID,
                "visualization: a batch has none. Leave it out, or send one image at a time.",
            )
        parameters.check_images(self.settings.batch_files)
        body = Body.of_many(request, pipeline.spec.limits.bytes, self.settings.batch_bytes)
        wanted = ResponseTime(
            pipeline.spec.serving.respond_within, context.respond_within, several=True
        )
        caller, remaining = context.share_holder, deadline.remaining()
        with self.admission.enter(caller, pipeline.name, body.size, remaining, wanted) as holding:
            with context.stage("receive"):
                async with deadline.enforce(_SLOW):
                    images = await body.images(self.settings.batch_files, holding.receive)
            context.received(images, batch=True)
            asked = InferenceRequest(context, holding, pipeline, images, parameters, deadline)
            render = partial(_batch_answer, request, pipeline)
            return await answered(request, self.replays, asked, self.dataplane.infer_each, render)

    async def _begin(self, request: Request, name: str) -> tuple[Pipeline, RequestParameters]:
        context: RequestContext = request.state.context
        context.principal.require(Role.PREDICT, name)
        pipeline = await self.catalog.find(name, context.principal.covers)
        context.pipeline = pipeline.name
        await self.dataplane.check(context)
        context.prediction = True
        context.read_wishes(request.headers.get)
        return pipeline, RequestParameters.read(request.query_params.multi_items(), pipeline.spec)


async def answered(
    request: Request,
    replays: Replays,
    asked: InferenceRequest,
    infer: Infer,
    render: Callable[[Sequence[Outcome]], Response],
    *,
    shown: Iterable[str] = (),
) -> Response:
    """The answer to images that were received; of a request with a key perhaps the stored one.

    Args:
        request: the body of which has been read.
        replays: knows the answers.
        asked: what is asked.
        infer: asks it.
        render: makes the response of the outcomes.
        shown: what else the answer depends on.

    Raises:
        RefusedError: why there is none.
        CallerGoneError: the caller hung up.
    """
    context = asked.context

    async def measured(asked: InferenceRequest) -> Sequence[Outcome]:
        with context.stage("infer"):
            return await infer(asked)

    def made(outcomes: Sequence[Outcome]) -> Answer:
        with context.stage("render"):
            response = render(outcomes)
        headers = {name: value for name, value in response.headers.items() if name != _LENGTH}
        refusal = context.refusal.code if context.refusal else None
        return Answer(str(response.status_code), headers, bytes(response.body), refusal)

    work = replays.answer(request.headers.getlist(KEY), asked, measured, made, shown)
    answer = await cancel_on_disconnect(request.receive, work)
    repeated = {REPLAYED: "true"} if context.replayed else {}
    return Response(answer.content, int(answer.status), {**answer.headers, **repeated})


async def cancel_on_disconnect(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """Does the work, or cancels it when the caller hangs up. The body must have been read.

    Raises:
        CallerGoneError: the caller hung up.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnected(receive))
    try:
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise CallerGoneError
    finally:
        task.cancel()
        gone.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _milliseconds(context: RequestContext) -> float:
    return round(context.elapsed() * 1000, 1)


def _one_answer(request: Request, form: Form, outcomes: Sequence[Outcome]) -> Response:
    (outcome,) = outcomes
    result, parameters = outcome.result, outcome.parameters
    if isinstance(result, RefusedError):
        return problem_response(request, result)
    view = handler_of(result.pipeline).views[form]
    context: RequestContext = request.state.context
    stamp = ImageStamp(context.request_id, _milliseconds(context), outcome.account)
    content = view.render(result, parameters, stamp)
    return Response(content, media_type=_JSON)


def _batch_answer(request: Request, pipeline: Pipeline, outcomes: Sequence[Outcome]) -> Response:
    context: RequestContext = request.state.context
    parameters = outcomes[0].parameters
    images = [outcome.image for outcome in outcomes]
    results = [outcome.result for outcome in outcomes]
    accounts = [outcome.account for outcome in outcomes]
    refusals = [result for result in results if isinstance(result, RefusedError)]
    context.facts["failed"] = len(refusals)
    if len(refusals) < len(results):
        stamp = Stamp(context.request_id, _milliseconds(context))
        content = batch.render(images, results, accounts, parameters, stamp)
        return Response(content, media_type=_JSON)
    detail = (
        f"batch: none of the {len(results)} was answered; `results` says why. "
        f"The first: {refusals[0].detail}"
    )
    refusal = RefusedError(_shared_code(refusals), detail)
    more = batch.problem_parts(images, refusals, accounts, pipeline, parameters)
    return problem_response(request, refusal, more)


def _shared_code(refusals: Sequence[RefusedError]) -> Code:
    """A code of the status that all share; of 422 where they share none."""
    if len({status_of(refusal.code) for refusal in refusals}) == 1:
        return refusals[0].code
    unprocessable = status_of(Code.IMAGE_UNDECODABLE)
    codes = (refusal.code for refusal in refusals if status_of(refusal.code) == unprocessable)
    return next(codes, Code.IMAGE_UNDECODABLE)
