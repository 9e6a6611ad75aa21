"""The routes that take images: from HTTP to the dataplane and back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway import render
from gateway.admission import Admission
from gateway.body import Body, Image
from gateway.catalog import Catalog, Pipeline
from gateway.choices import Choices
from gateway.dataplane import Dataplane
from gateway.deadline import Deadline
from gateway.errors import Code, RefusedError, status_of
from gateway.exchange import exchange_of
from gateway.hangup import unless_gone
from gateway.opinion import Opinion
from gateway.problems import problem_response
from gateway.settings import Settings
from gateway.signatures import image_format

Shape = Callable[[Opinion, Choices], render.Json]
_SLOW = "body: it came too slowly. Send a smaller one, or over a faster line."


@dataclass(frozen=True, slots=True)
class Predictions:
    """Answers requests that bring images."""

    settings: Settings
    catalog: Catalog
    admission: Admission
    dataplane: Dataplane

    async def one(self, request: Request, name: str, shape: Shape) -> Response:
        """An answer about one image, in one of the shapes of `render`.

        Raises:
            RefusedError: why there is none.
            CallerGoneError: the caller hung up.
        """
        exchange = exchange_of(request.scope)
        deadline = Deadline.after(self.settings.deadline_seconds)
        pipeline, choices = await self._begin(request, name)
        body = Body.of_one(request, pipeline.spec.limits.bytes)
        with self.admission.admit(pipeline.name, body.size):
            with exchange.stage("receive"):
                async with deadline.enforce(_SLOW):
                    image = await body.image()
            exchange.facts |= {"bytes": len(image.data), "format": image_format(image.data)}
            with exchange.stage("infer"):
                opinion = await unless_gone(
                    request.receive, self.dataplane.predict(pipeline, image, choices, deadline)
                )
        with exchange.stage("render"):
            return _answer(request, shape(opinion, choices))

    async def many(self, request: Request, name: str) -> Response:
        """An answer about a batch; a problem where no image of it was answered.

        Raises:
            RefusedError: why the batch as a whole has no answer.
            CallerGoneError: the caller hung up.
        """
        exchange = exchange_of(request.scope)
        deadline = Deadline.after(self.settings.deadline_seconds)
        pipeline, choices = await self._begin(request, name)
        body = Body.of_many(request, pipeline.spec.limits.bytes, self.settings.batch_bytes)
        with self.admission.admit(pipeline.name, body.size):
            with exchange.stage("receive"):
                async with deadline.enforce(_SLOW):
                    images = await body.images(self.settings.batch_files)
            exchange.facts |= {
                "bytes": sum(len(image.data) for image in images),
                "images": len(images),
            }
            with exchange.stage("infer"):
                results = await unless_gone(
                    request.receive,
                    self.dataplane.predict_many(pipeline, images, choices, deadline),
                )
        with exchange.stage("render"):
            return _batch_answer(request, images, results, pipeline, choices)

    async def _begin(self, request: Request, name: str) -> tuple[Pipeline, Choices]:
        pipeline = await self.catalog.find(name)
        exchange = exchange_of(request.scope)
        exchange.pipeline, exchange.prediction = pipeline.name, True
        return pipeline, Choices.read(request.query_params.multi_items(), pipeline.spec)


def _answer(request: Request, answer: render.Json) -> Response:
    exchange = exchange_of(request.scope)
    took = {"processing_time_ms": round(exchange.elapsed() * 1000, 1)}
    return JSONResponse({"request_id": exchange.request_id} | answer | took)


def _batch_answer(
    request: Request,
    images: Sequence[Image],
    results: Sequence[Opinion | RefusedError],
    pipeline: Pipeline,
    choices: Choices,
) -> Response:
    answer = render.batch(images, results, pipeline, choices)
    refusals = [result for result in results if isinstance(result, RefusedError)]
    exchange_of(request.scope).facts["failed"] = len(refusals)
    if len(refusals) < len(results):
        return _answer(request, answer)
    detail = (
        f"batch: none of the {len(results)} was answered; `results` says why. "
        f"The first: {refusals[0].detail}"
    )
    return problem_response(request, _shared_code(refusals), detail, answer)


def _shared_code(refusals: Sequence[RefusedError]) -> Code:
    """A code of the status that all share; of 422 where they share none."""
    if len({status_of(refusal.code) for refusal in refusals}) == 1:
        return refusals[0].code
    unprocessable = status_of(Code.IMAGE_UNDECODABLE)
    codes = (refusal.code for refusal in refusals if status_of(refusal.code) == unprocessable)
    return next(codes, Code.IMAGE_UNDECODABLE)
