"""Predicts: from encoded images to findings or refusals, whatever the transport."""

import asyncio
import random
import time
from collections.abc import Sequence

from gateway.body import Image
from gateway.catalog import Catalog, Pipeline
from gateway.choices import Choices
from gateway.deadline import Deadline
from gateway.errors import Code, RefusedError
from gateway.finding import Finding
from gateway.kinds import kind_of
from gateway.metrics import Metrics
from gateway.opinion import Opinion
from gateway.outputs import Outputs
from gateway.readiness import Readiness
from gateway.signatures import image_format
from gateway.translation import LATE
from gateway.triton import Triton
from pipelines.wire import Output

_RETRY_PAUSE = 0.2
_FIRST_BACKOFF, _LONGEST_BACKOFF = 0.05, 1.0
_OF_THE_IMAGE = {
    Code.IMAGE_EMPTY,
    Code.IMAGE_FORMAT,
    Code.IMAGE_TOO_LARGE,
    Code.IMAGE_UNDECODABLE,
    Code.IMAGE_SHAPE,
    Code.IMAGES_MANY,
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
    ) -> Finding:
        """What is found in one image.

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
        finding: Finding = kind_of(facts).read(outputs, facts, choices.member)
        self._readiness.saw(pipeline.name, None)
        if choices.member is None:
            self._count(finding)
        return finding

    async def predict_many(
        self, pipeline: Pipeline, images: Sequence[Image], choices: Choices, deadline: Deadline
    ) -> list[Finding | RefusedError]:
        """A finding or a refusal for each image, in their order, all by one release."""
        places = asyncio.Semaphore(self._batch_concurrency)

        async def one(image: Image) -> Finding | RefusedError:
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
    ) -> Finding:
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

    def _count(self, finding: Finding) -> None:
        name, release = finding.pipeline.name, finding.pipeline.release
        for label, confidence in finding.named:
            self._metrics.confidence.labels(name, release, label).observe(confidence)
        if isinstance(finding, Opinion):
            self._metrics.disagreement.labels(name, release).observe(finding.disagreement)
            self._metrics.uncertainty.labels(name, release, finding.level[0]).inc()


def _of_one_release(results: list[Finding | RefusedError]) -> list[Finding | RefusedError]:
    """Refuses what a release decided that was replaced while the batch ran."""
    findings = [result for result in results if not isinstance(result, RefusedError)]
    if not findings:
        return results
    release = findings[-1].pipeline.release
    replaced = RefusedError(
        Code.UNAVAILABLE, "pipeline: its release was replaced meanwhile. Send the image again."
    )
    return [
        result
        if isinstance(result, RefusedError) or result.pipeline.release == release
        else replaced
        for result in results
    ]
