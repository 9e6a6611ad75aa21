"""Predicts: from encoded images to opinions or refusals, whatever the transport."""

import asyncio
import random
import time
from collections.abc import Sequence

from gateway.body import Image
from gateway.catalog import Catalog, Pipeline
from gateway.choices import Choices
from gateway.deadline import Deadline
from gateway.errors import Code, RefusedError
from gateway.metrics import Metrics
from gateway.opinion import Opinion
from gateway.readiness import Readiness
from gateway.signatures import image_format
from gateway.translation import LATE
from gateway.triton import Outputs, Triton
from pipelines.wire import Output

_RETRY_PAUSE = 0.2
_FIRST_BACKOFF, _LONGEST_BACKOFF = 0.05, 1.0
_OF_THE_IMAGE = {
    Code.IMAGE_EMPTY,
    Code.IMAGE_FORMAT,
    Code.IMAGE_TOO_LARGE,
    Code.IMAGE_UNDECODABLE,
}


class Dataplane:
    """Asks Triton, within a deadline, and counts what came of it."""

    def __init__(
        self,
        triton: Triton,
        catalog: Catalog,
        readiness: Readiness,
        metrics: Metrics,
        batch_concurrency: int,
    ) -> None:
        self._triton = triton
        self._catalog = catalog
        self._readiness = readiness
        self._metrics = metrics
        self._batch_concurrency = batch_concurrency

    async def predict(
        self, pipeline: Pipeline, image: Image, choices: Choices, deadline: Deadline
    ) -> Opinion:
        """An opinion on one image.

        Raises:
            RefusedError: why there is none.
        """
        self._check(image)
        start = time.perf_counter()
        try:
            async with deadline.enforce(LATE):
                outputs = await self._ask(pipeline.name, image.data, choices, deadline)
                release = outputs.text(Output.RELEASE)
                facts = await self._catalog.at_release(pipeline.name, release)
        except RefusedError as refusal:
            self._readiness.saw(pipeline.name, refusal.code)
            if refusal.code is Code.BUSY:
                self._metrics.refused.labels(pipeline.name, "triton_queue").inc()
            if refusal.code in _OF_THE_IMAGE:
                raise RefusedError(refusal.code, f"{image.where}: {refusal.detail}") from None
            raise
        finally:
            self._took(pipeline, "infer", start)
        opinion = Opinion.read(outputs, facts)
        self._readiness.saw(pipeline.name, None)
        if choices.member is None:
            self._count(opinion)
        return opinion

    async def predict_many(
        self, pipeline: Pipeline, images: Sequence[Image], choices: Choices, deadline: Deadline
    ) -> list[Opinion | RefusedError]:
        """An opinion or a refusal for each image, in their order, all by one release."""
        places = asyncio.Semaphore(self._batch_concurrency)

        async def one(image: Image) -> Opinion | RefusedError:
            start = time.perf_counter()
            async with places:
                self._took(pipeline, "queue", start)
                try:
                    return await self._patiently(pipeline, image, choices, deadline)
                except RefusedError as refusal:
                    return refusal

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(image)) for image in images]
        return _of_one_release([task.result() for task in tasks])

    async def _patiently(
        self, pipeline: Pipeline, image: Image, choices: Choices, deadline: Deadline
    ) -> Opinion:
        """As `predict`, but a full queue is waited for: the rest of the batch fills it too."""
        backoff = _FIRST_BACKOFF
        while True:
            try:
                return await self.predict(pipeline, image, choices, deadline)
            except RefusedError as refusal:
                # Jitter, so that the images of a batch do not come back all at once.
                pause = backoff * random.uniform(0.5, 1.5)  # noqa: S311 - no secret
                if refusal.code is not Code.BUSY or pause >= deadline.remaining():
                    raise
            await asyncio.sleep(pause)
            backoff = min(2 * backoff, _LONGEST_BACKOFF)

    async def _ask(self, model: str, data: bytes, choices: Choices, deadline: Deadline) -> Outputs:
        parameters = choices.parameters
        try:
            return await self._triton.infer(model, data, parameters, deadline.remaining())
        except RefusedError as refusal:
            if refusal.code is not Code.UNAVAILABLE:
                raise
        # Safe, as an inference changes nothing; once, as more of them would be a stampede.
        await asyncio.sleep(_RETRY_PAUSE)
        return await self._triton.infer(model, data, parameters, deadline.remaining())

    def _check(self, image: Image) -> None:
        if image.refusal:
            raise image.refusal
        if not image.data:
            raise RefusedError(
                Code.IMAGE_EMPTY, f"{image.where}: it has no bytes. Send the image's bytes."
            )
        found = image_format(image.data)
        if found is None:
            raise RefusedError(
                Code.IMAGE_FORMAT,
                f"{image.where}: it is no image that is read. Send JPEG, PNG, WebP, BMP or TIFF.",
            )
        self._metrics.images.labels(found).inc()
        self._metrics.image_bytes.observe(len(image.data))

    def _took(self, pipeline: Pipeline, stage: str, start: float) -> None:
        seconds = time.perf_counter() - start
        self._metrics.stage_seconds.labels(pipeline.name, stage).observe(seconds)

    def _count(self, opinion: Opinion) -> None:
        name, release = opinion.pipeline.name, opinion.pipeline.release
        self._metrics.confidence.labels(name, release, opinion.predicted_class).observe(
            opinion.confidence
        )
        self._metrics.disagreement.labels(name, release).observe(opinion.disagreement)
        self._metrics.uncertainty.labels(name, release, opinion.level[0]).inc()


def _of_one_release(results: list[Opinion | RefusedError]) -> list[Opinion | RefusedError]:
    """Refuses what a release decided that was replaced while the batch ran."""
    opinions = [result for result in results if isinstance(result, Opinion)]
    if not opinions:
        return results
    release = opinions[-1].pipeline.release
    replaced = RefusedError(
        Code.UNAVAILABLE, "pipeline: its release was replaced meanwhile. Send the image again."
    )
    return [
        result
        if isinstance(result, RefusedError) or result.pipeline.release == release
        else replaced
        for result in results
    ]
