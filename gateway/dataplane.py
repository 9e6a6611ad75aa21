"""Predicts: from encoded images to findings or refusals, whatever the transport."""

import asyncio
import random
import time
from collections.abc import Awaitable, Sequence

from gateway.core.batching import Batching
from gateway.core.catalog import Catalog, Pipeline
from gateway.core.deadline import Deadline
from gateway.core.parameters import Choices
from gateway.core.retry import twice_if_unavailable
from gateway.errors import Code, RefusedError
from gateway.http.body import Image
from gateway.results.result import Finding
from gateway.results.task_handlers import kind_of
from gateway.telemetry.inference import Tally
from gateway.triton.outputs import Outputs
from gateway.triton.triton_errors import LATE
from pipelines.protocol import Output

_FIRST_BACKOFF, _LONGEST_BACKOFF = 0.05, 1.0


class Dataplane:
    """Asks Triton, within a deadline, and counts what came of it."""

    def __init__(
        self,
        batching: Batching,
        catalog: Catalog,
        tally: Tally,
        batch_concurrency: int,
    ) -> None:
        self._batching = batching
        self._catalog = catalog
        self._tally = tally
        self._batch_concurrency = batch_concurrency

    async def predict(
        self, pipeline: Pipeline, image: Image, choices: Choices, deadline: Deadline
    ) -> Finding:
        """What is found in one image.

        Raises:
            RefusedError: why there is none.
        """
        self._tally.images([image])
        with self._tally.asking(pipeline.name, image.where):
            async with deadline.enforce(LATE):
                outputs = await self._ask(pipeline, image.data, choices, deadline)
                release = outputs.text(Output.RELEASE)
                facts = await self._catalog.at_release(pipeline.name, release)
            finding: Finding = kind_of(facts).read(outputs, facts, choices.member)
        if choices.member is None:
            self._tally.finding(finding)
        return finding

    async def predict_many(
        self, pipeline: Pipeline, images: Sequence[Image], choices: Choices, deadline: Deadline
    ) -> list[Finding | RefusedError]:
        """A finding or a refusal for each image, in their order, all by one release."""
        places = asyncio.Semaphore(self._batch_concurrency)

        async def one(image: Image) -> Finding | RefusedError:
            start = time.perf_counter()
            async with places:
                self._tally.took(pipeline.name, "queue", start)
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

    async def _ask(
        self, pipeline: Pipeline, data: bytes, choices: Choices, deadline: Deadline
    ) -> Outputs:
        def ask() -> Awaitable[Outputs]:
            return self._batching.infer(
                pipeline.name,
                data,
                choices.parameters,
                deadline.remaining(),
                kind_of(pipeline).images_a_call(pipeline, choices.member),
            )

        return await twice_if_unavailable(ask)


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
