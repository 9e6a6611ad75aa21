"""The dataplane: from encoded images to outcomes, the same for HTTP and gRPC."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from gateway.audit.audit_log import AuditLog, Finish
from gateway.core.admission import Holding
from gateway.core.assignment import Assignment
from gateway.core.batching import Batching
from gateway.core.catalog import Catalog, Pipeline
from gateway.core.readiness import Readiness
from gateway.core.request import Deadline, Image, RequestParameters
from gateway.errors import Code, RefusedError
from gateway.identity.budgets import Budgets
from gateway.identity.rate_limits import RateLimits
from gateway.kept_images.keeper import ImageToKeep, KeptImages
from gateway.results.task_handlers import Result, handler_of
from gateway.shadow.traffic import ShadowTraffic
from gateway.telemetry.recorder import InferenceTelemetry, Outcome, RequestContext
from gateway.triton.outputs import Outputs
from gateway.triton.triton_errors import LATE, NotServingError
from pipelines.protocol import Output

_FIRST_BACKOFF, _LONGEST_BACKOFF = 0.05, 1.0
_RETRY_SECONDS = 0.2
_RELEASE_ATTEMPTS = 8
"""Times that images of a batch are asked again, to be answered by the release of the others."""
_OF_THE_IMAGE = {
    Code.IMAGE_EMPTY,
    Code.IMAGE_FORMAT,
    Code.IMAGE_TOO_LARGE,
    Code.IMAGE_UNDECODABLE,
    Code.IMAGE_TOO_COSTLY,
    Code.IMAGE_SHAPE,
    Code.IMAGE_QUALITY,
    Code.IMAGES_MANY,
}


@dataclass(frozen=True, slots=True)
class InferenceRequest:
    """Encoded images for one pipeline; the request's context says who asks."""

    context: RequestContext
    holding: Holding
    pipeline: Pipeline
    images: Sequence[Image]
    parameters: RequestParameters
    deadline: Deadline
    finish: Finish | None = None
    """Writes more in the transaction of the outcomes' rows."""


class Dataplane:
    """Asks Triton within a request's deadline, and has each outcome recorded."""

    def __init__(
        self,
        batching: Batching,
        catalog: Catalog,
        readiness: Readiness,
        telemetry: InferenceTelemetry,
        *,
        assignment: Assignment,
        audit: AuditLog,
        images: KeptImages,
        budgets: Budgets,
        rate_limits: RateLimits,
        batch_concurrency: int,
        shadow: ShadowTraffic | None = None,
    ) -> None:
        self._batching = batching
        self._catalog = catalog
        self._readiness = readiness
        self._telemetry = telemetry
        self._assignment = assignment
        self._audit = audit
        self._images = images
        self._budgets = budgets
        self._rate_limits = rate_limits
        self._batch_concurrency = batch_concurrency
        self._shadow = shadow

    async def check(self, context: RequestContext) -> None:
        """Refuses a caller who may ask nothing now, before its images are received.

        Raises:
            RefusedError: with `rate_limited` or `budget_spent`; with `unavailable` where it cannot
                be told what the caller spent.
        """
        await self._budgets.check(context.principal, context.answer_fields)
        self._rate_limits.check(context.principal, context.answer_fields)

    async def _let_in(self, request: InferenceRequest) -> InferenceRequest:
        """Counts the images of a caller who may ask about them now, and can be accounted for.

        Returns:
            The request, with the release that is to answer it.
        """
        context = request.context
        self._audit.require_available()
        named = await self._named(request)
        count = len(request.images) * request.parameters.views(request.pipeline.spec)
        await self._rate_limits.take(context.principal, count, context.answer_fields)
        pipeline = named or await self._assignment.choose(
            request.pipeline, context.subject, request.images, request.parameters
        )
        return replace(request, pipeline=pipeline)

    async def _named(self, request: InferenceRequest) -> Pipeline | None:
        """The release that an operator names; None where none is named.

        Raises:
            RefusedError: it is not loaded, or lacks the member that is asked for.
        """
        if request.context.release is None:
            return None
        named = await self._catalog.named(request.pipeline.name, request.context.release)
        if request.parameters.member not in {None, *named.spec.members}:
            known = ", ".join(named.spec.members)
            raise RefusedError(
                Code.MEMBER_UNKNOWN, f"member: the release has none of this name. It has: {known}."
            )
        return named

    async def infer(self, request: InferenceRequest) -> list[Outcome]:
        """The outcomes of images that go in one call: all are answered, or all are refused.

        Raises:
            RefusedError: the audit log cannot be written, or the images are more than the caller
                may ask about now.
        """
        request = await self._let_in(request)
        return await self._accounted(request, await self._infer(request))

    async def infer_each(self, request: InferenceRequest) -> list[Outcome]:
        """The outcome of each image by itself, in their order; all results are of one release.

        While releases change, images may be answered by different ones: those of the less common
        release are asked again, and refused only where that does not help.

        Raises:
            RefusedError: the audit log cannot be written, or the images are more than the caller
                may ask about now.
        """
        request = await self._let_in(request)
        places = asyncio.Semaphore(self._batch_concurrency)
        outcomes = latest = await self._each(request, request.images, places)
        release: str | None = None
        for attempt in range(2 * _RELEASE_ATTEMPTS):
            if attempt % _RELEASE_ATTEMPTS == 0:
                # The second time, the most common release was replaced meanwhile.
                release = _most_common_release(latest)
            others = [n for n, o in enumerate(outcomes) if o.release not in {None, release}]
            if not others:
                break
            latest = await self._each(request, [request.images[n] for n in others], places)
            for index, outcome in zip(others, latest, strict=True):
                outcomes[index] = outcome
        return await self._accounted(request, _of_one_release(outcomes))

    async def _accounted(
        self, request: InferenceRequest, outcomes: Sequence[Outcome]
    ) -> list[Outcome]:
        """The outcomes once their rows in the audit log are on disk: no answer goes out before."""
        with self._telemetry.stage(request.context, "account"):
            if (consents := request.context.keep_image) is not None:
                outcomes = await self._kept(outcomes, consents=consents)
            accounted = await self._audit.account(request.context, outcomes, request.finish)
        self._telemetry.record(request.context, accounted)
        if self._shadow is not None and request.context.release is None:
            self._shadow.offer(accounted)
        return accounted

    async def _kept(self, outcomes: Sequence[Outcome], *, consents: bool) -> list[Outcome]:
        """The outcomes with whether their images were kept: of answers, where the YAML says so."""
        wanted = [
            ImageToKeep(outcome.prediction_id, outcome.pipeline, outcome.image.data, facts.days)
            for outcome in outcomes
            if consents
            and not isinstance(outcome.result, RefusedError)
            and (facts := outcome.result.pipeline.spec.keep_images) is not None
        ]
        done = await self._images.keep(wanted) if wanted else []
        kept = {each.prediction_id for each, stored in zip(wanted, done, strict=True) if stored}
        return [replace(each, kept=each.prediction_id in kept) for each in outcomes]

    async def _each(
        self, request: InferenceRequest, images: Sequence[Image], places: asyncio.Semaphore
    ) -> list[Outcome]:
        async def one(image: Image) -> Outcome:
            with self._telemetry.stage(request.context, "queue"):
                await places.acquire()
            try:
                return await self._patiently(replace(request, images=[image]))
            finally:
                places.release()

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(image)) for image in images]
        return [task.result() for task in tasks]

    async def _patiently(self, request: InferenceRequest) -> Outcome:
        """Waits where Triton's queue is full: other images of the batch fill it too."""
        backoff = _FIRST_BACKOFF
        while True:
            (outcome,) = await self._infer(request)
            refusal = outcome.result
            # Jitter, so that the images of a batch do not come back all at once.
            pause = backoff * random.uniform(0.5, 1.5)  # noqa: S311 - no secret
            busy = isinstance(refusal, RefusedError) and refusal.code is Code.BUSY
            if not busy or pause >= request.deadline.remaining():
                return outcome
            await asyncio.sleep(pause)
            backoff = min(2 * backoff, _LONGEST_BACKOFF)

    async def _infer(self, request: InferenceRequest) -> list[Outcome]:
        started = time.perf_counter()
        rows: Sequence[Outputs | None] = [None] * len(request.images)
        results: Sequence[Result | RefusedError]
        try:
            formats = [image.check() for image in request.images]
            self._telemetry.sent(request.images, formats)
            rows, results = await self._answered(request)
            request.holding.answered(len(request.images))
        except RefusedError as refusal:
            results = [refusal.forget_origin()] * len(request.images)
        seconds = time.perf_counter() - started
        return [
            Outcome(
                principal=request.context.principal,
                pipeline=request.pipeline.name,
                image=image,
                parameters=request.parameters,
                result=result,
                outputs=outputs,
                seconds=seconds,
            )
            for image, result, outputs in zip(request.images, results, rows, strict=True)
        ]

    async def _answered(self, request: InferenceRequest) -> tuple[list[Outputs], list[Result]]:
        """Triton's tensors of each image, and the results that they mean.

        Raises:
            RefusedError: why there are none.
        """
        name = request.pipeline.name
        try:
            with self._telemetry.inference(request.context) as span:
                async with request.deadline.enforce(LATE):
                    rows = await self._ask(request, span.headers if span else {})
                    release = rows[0].text(Output.RELEASE)
                    _require_named(request.context.release, release)
                    facts = await self._catalog.at_release(name, release)
                read = handler_of(facts).read
                results = [read(row, facts, request.parameters) for row in rows]
                if span is not None:
                    for result in results:
                        span.answered(result.compute)
        except RefusedError as refusal:
            if request.context.release is None:
                # A release that is only tried says nothing of the one that serves.
                self._readiness.update(name, refusal.code)
            if refusal.code is Code.BUSY:
                self._telemetry.triton_queue_full(name)
            if len(request.images) == 1 and refusal.code in _OF_THE_IMAGE:
                # Of several images, Triton's text says which.
                detail = f"{request.images[0].where}: {refusal.detail}"
                raise RefusedError(refusal.code, detail) from None
            raise
        if request.context.release is None:
            self._readiness.update(name, None)
        return rows, results

    async def _ask(self, request: InferenceRequest, trace: Mapping[str, str]) -> list[Outputs]:
        """Asks Triton, and once more where its models may be back in a moment.

        Asking again is safe, as an inference changes nothing; more than once would add load to a
        service in trouble.
        """
        try:
            return await self._ask_once(request, trace)
        except RefusedError as refusal:
            if refusal.code is not Code.UNAVAILABLE:
                raise
            nobody = isinstance(refusal, NotServingError)
        await asyncio.sleep(_RETRY_SECONDS)
        again = request.pipeline
        if request.context.release is None:
            # A candidate that was unloaded meanwhile leaves it to the current release.
            again = await self._catalog.find(again.name)
        if nobody and again.model == request.pipeline.model:
            again = again.by_its_other_name
        return await self._ask_once(replace(request, pipeline=again), trace)

    async def _ask_once(self, request: InferenceRequest, trace: Mapping[str, str]) -> list[Outputs]:
        pipeline, parameters = request.pipeline, request.parameters
        return await self._batching.infer(
            pipeline.model,
            [image.data for image in request.images],
            parameters.values,
            request.deadline.remaining(),
            handler_of(pipeline).images_per_call(pipeline, parameters),
            hold=request.holding,
            trace=trace,
        )


def _require_named(named: str | None, answered: str) -> None:
    """Refuses an answer of another release than the one that was named, if any."""
    if named not in {None, answered}:
        raise RefusedError(Code.UNAVAILABLE, "X-Release: it is being replaced. Send it again.")


def _most_common_release(outcomes: Sequence[Outcome]) -> str | None:
    releases = Counter(outcome.release for outcome in outcomes if outcome.release is not None)
    return releases.most_common(1)[0][0] if releases else None


def _of_one_release(outcomes: list[Outcome]) -> list[Outcome]:
    """Refuses the results of all releases but the most common one."""
    release = _most_common_release(outcomes)
    replaced = RefusedError(
        Code.UNAVAILABLE, "pipeline: its release was replaced meanwhile. Send the image again."
    )
    return [
        outcome
        if outcome.release in {None, release}
        else replace(outcome, result=replaced, outputs=None)
        for outcome in outcomes
    ]
