"""The routes that take images: from HTTP to the dataplane and back."""

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from gateway.core.admission import Admission
from gateway.core.catalog import Catalog, Pipeline
from gateway.core.deadline import Deadline
from gateway.core.image_format import image_format
from gateway.core.parameters import Choices
from gateway.dataplane import Dataplane
from gateway.errors import Code, RefusedError, status_of
from gateway.http.body import Body, Image
from gateway.http.cancel_on_disconnect import unless_gone
from gateway.http.problems import problem_response
from gateway.http.response import AnswerResponse
from gateway.results.batch import batch
from gateway.results.frame import Json
from gateway.results.result import Finding
from gateway.results.task_handlers import Form, kind_of
from gateway.settings import Settings
from gateway.telemetry.request_context import exchange_of
from pipelines.protocol import Parameter

_SLOW = "body: it came too slowly. Send a smaller one, or over a faster line."


@dataclass(frozen=True, slots=True)
class Predictions:
    """Answers requests that bring images."""

    settings: Settings
    catalog: Catalog
    admission: Admission
    dataplane: Dataplane

    async def one(self, request: Request, name: str, form: Form) -> Response:
        """An answer about one image, in the given form.

        Raises:
            RefusedError: why there is none.
            CallerGoneError: the caller hung up.
        """
        exchange = exchange_of(request.scope)
        deadline = Deadline.after(self.settings.deadline_seconds)
        pipeline, choices = await self._begin(request, name)
        choices = choices.asking(kind_of(pipeline).views[form].asks)
        body = Body.of_one(request, pipeline.spec.limits.bytes)
        with self.admission.admit(pipeline.name, body.size, deadline.remaining()):
            with exchange.stage("receive"):
                async with deadline.enforce(_SLOW):
                    image = await body.image()
            exchange.facts |= {"bytes": len(image.data), "format": image_format(image.data)}
            with exchange.stage("infer"):
                finding = await unless_gone(
                    request.receive, self.dataplane.predict(pipeline, image, choices, deadline)
                )
        with exchange.stage("render"):
            view = kind_of(finding.pipeline).views[form]
            return _answer(request, view.render(finding, choices))

    async def many(self, request: Request, name: str) -> Response:
        """An answer about a batch; a problem where no image of it was answered.

        Raises:
            RefusedError: why the batch as a whole has no answer.
            CallerGoneError: the caller hung up.
        """
        exchange = exchange_of(request.scope)
        deadline = Deadline.after(self.settings.deadline_seconds)
        pipeline, choices = await self._begin(request, name)
        if choices.parameters.get(Parameter.VISUALIZATION, "false") != "false":
            # A hundred pictures in one answer would be no answer.
            raise RefusedError(
                Code.PARAMETER_INVALID,
                "visualization: a batch has none. Leave it out, or send one image at a time.",
            )
        body = Body.of_many(request, pipeline.spec.limits.bytes, self.settings.batch_bytes)
        with self.admission.admit(pipeline.name, body.size, deadline.remaining()):
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


def _answer(request: Request, answer: Json) -> Response:
    exchange = exchange_of(request.scope)
    took = {"processing_time_ms": round(exchange.elapsed() * 1000, 1)}
    return AnswerResponse({"request_id": exchange.request_id} | answer | took)


def _batch_answer(
    request: Request,
    images: Sequence[Image],
    results: Sequence[Finding | RefusedError],
    pipeline: Pipeline,
    choices: Choices,
) -> Response:
    answer = batch(images, results, pipeline, choices)
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
