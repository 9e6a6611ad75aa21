"""ModelInfer: the same limits, counters and errors as over HTTP, and Triton's own bytes."""

from collections.abc import Awaitable
from dataclasses import dataclass

from gateway.core.admission import Admission
from gateway.core.catalog import Catalog, Pipeline
from gateway.core.deadline import Deadline
from gateway.core.parameters import Choices
from gateway.core.retry import twice_if_unavailable
from gateway.grpc.call import Call
from gateway.grpc.infer_request import InferRequest
from gateway.http.access import Access
from gateway.results.task_handlers import kind_of
from gateway.telemetry.inference import Tally
from gateway.telemetry.metrics import NO_PIPELINE
from gateway.telemetry.request_context import Exchange
from gateway.triton.client import Triton, tensors
from gateway.triton.triton_errors import LATE
from pipelines.protocol import ENCODED_IMAGE, Output


@dataclass(frozen=True, slots=True)
class Inference:
    """Answers requests that bring images."""

    access: Access
    admission: Admission
    catalog: Catalog
    tally: Tally
    triton: Triton
    seconds: float
    """How long a request may take."""

    async def infer(self, call: Call) -> bytes:
        """A ModelInferResponse.

        Raises:
            RefusedError: why there is none.
        """
        exchange = call.exchange
        self.access.check(call.key, exchange)
        deadline = call.deadline(self.seconds)
        # What it asks is not known yet, nor its size; that too many come at once is.
        with self.admission.admit(NO_PIPELINE, 0), exchange.stage("receive"):
            request = InferRequest(await call.message(deadline))
        pipeline = await self.catalog.find(request.model)
        exchange.pipeline, exchange.prediction = pipeline.name, True
        deadline = deadline.within(request.patience())
        with self.admission.admit(pipeline.name, len(request.raw), deadline.remaining()):
            choices = request.choices(pipeline.spec)
            images = self._look(request, pipeline, exchange)
            where = ENCODED_IMAGE if images == 1 else None
            with exchange.stage("infer"), self.tally.asking(pipeline.name, where):
                async with deadline.enforce(LATE):
                    response = await self._ask(request, images, deadline)
                    if request.whole:
                        await self._count(response, images, pipeline, choices)
        return response

    def _look(self, request: InferRequest, pipeline: Pipeline, exchange: Exchange) -> int:
        """Checks and counts the images, says how many, and keeps none."""
        images = request.images(pipeline.spec)
        formats = self.tally.images(images)
        exchange.facts["bytes"] = sum(len(image.data) for image in images)
        if len(images) == 1:
            exchange.facts["format"] = formats[0]
        else:
            exchange.facts["images"] = len(images)
        return len(images)

    async def _ask(self, request: InferRequest, images: int, deadline: Deadline) -> bytes:
        def ask() -> Awaitable[bytes]:
            seconds = deadline.remaining()
            return self.triton.infer_serialised(request.model, request.raw, images, seconds)

        return await twice_if_unavailable(ask)

    async def _count(
        self, response: bytes, images: int, pipeline: Pipeline, choices: Choices
    ) -> None:
        """Reads the answer as over HTTP: what does not fit its facts is none."""
        rows = tensors(response).rows(images)
        facts = await self.catalog.at_release(pipeline.name, rows[0].text(Output.RELEASE))
        findings = [kind_of(facts).read(row, facts, choices.member) for row in rows]
        if choices.member is None:
            for finding in findings:
                self.tally.finding(finding)
