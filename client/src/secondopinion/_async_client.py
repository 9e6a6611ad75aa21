"""The asyncio client."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime
from types import TracebackType
from typing import Self, TypeVar, Unpack

import httpx

from secondopinion import _calls, _reading
from secondopinion._answers import AdvancedPrediction, BatchResult, Prediction, Receipt
from secondopinion._audit import AuditFilter, AuditPage, AuditRow
from secondopinion._calls import Call, Choices, Page
from secondopinion._catalogue import AllLoadedReleases, Pipeline, Pipelines
from secondopinion._connection import ANSWER_SECONDS, connection
from secondopinion._detections import Detections, DetectionsBatch
from secondopinion._errors import problem_error, transport_error
from secondopinion._feedback import Cases, Deletion, FeedbackHistory, FeedbackReceipt, Finding
from secondopinion._images import Image
from secondopinion._request import Request
from secondopinion._retries import Reply, Retries, Wait, with_retries
from secondopinion._tls import File, TlsFiles
from secondopinion._usage import UsageFilter, UsageReport

T = TypeVar("T")


class AsyncClient:
    """As `Client`, for asyncio: every method is awaited, and many may be at once.

    Files are read in a thread, and only when their request starts.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        api_key: str | None = None,
        token: str | None = None,
        timeout: float = ANSWER_SECONDS,
        retries: Retries | None = None,
        ca_file: File | None = None,
        certificate_file: File | None = None,
        key_file: File | None = None,
    ) -> None:
        tls = TlsFiles(ca_file, certificate_file, key_file)
        self._http = httpx.AsyncClient(
            **connection(url, timeout, api_key=api_key, token=token, tls=tls)
        )
        self._retries = retries or Retries()

    async def predict(self, image: Image, **choices: Unpack[Choices]) -> Prediction:
        """See `Client.predict`."""
        return await self._ask(_calls.predict(image, **choices))

    async def predict_advanced(
        self, image: Image, **choices: Unpack[Choices]
    ) -> AdvancedPrediction:
        """See `Client.predict_advanced`."""
        return await self._ask(_calls.predict_advanced(image, **choices))

    async def detect(self, image: Image, **choices: Unpack[Choices]) -> Detections:
        """See `Client.detect`."""
        return await self._ask(_calls.detect(image, **choices))

    async def predict_batch(
        self, images: Iterable[Image], **choices: Unpack[Choices]
    ) -> BatchResult:
        """See `Client.predict_batch`."""
        return await self._ask(_calls.predict_batch(images, **choices))

    async def detect_batch(
        self, images: Iterable[Image], **choices: Unpack[Choices]
    ) -> DetectionsBatch:
        """See `Client.detect_batch`."""
        return await self._ask(_calls.detect_batch(images, **choices))

    async def pipelines(self) -> Pipelines:
        """See `Client.pipelines`."""
        return await self._ask(_calls.pipelines())

    async def pipeline(self, name: str, *, release: str | None = None) -> Pipeline:
        """See `Client.pipeline`."""
        return await self._ask(_calls.pipeline(name, release))

    async def releases(self) -> AllLoadedReleases:
        """See `Client.releases`."""
        return await self._ask(_calls.releases())

    async def usage(
        self,
        by: Sequence[str] = (),
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        **only: Unpack[UsageFilter],
    ) -> UsageReport:
        """See `Client.usage`."""
        return await self._ask(_calls.usage(by, since, until, only))

    async def feedback(self, prediction_id: str, **finding: Unpack[Finding]) -> FeedbackReceipt:
        """See `Client.feedback`."""
        return await self._ask(_calls.feedback(prediction_id, **finding))

    async def feedback_history(self, prediction_id: str) -> FeedbackHistory:
        """See `Client.feedback_history`."""
        return await self._ask(_calls.feedback_history(prediction_id))

    async def delete_comment(self, prediction_id: str, feedback_id: str) -> Deletion:
        """See `Client.delete_comment`."""
        return await self._ask(_calls.delete_comment(prediction_id, feedback_id))

    async def cases(self, pipeline: str, **page: Unpack[Page]) -> Cases:
        """See `Client.cases`."""
        return await self._ask(_calls.cases(pipeline, **page))

    async def kept_image(self, prediction_id: str) -> bytes:
        """See `Client.kept_image`."""
        return await self._ask(_calls.kept_image(prediction_id))

    async def delete_kept_image(self, prediction_id: str) -> Deletion:
        """See `Client.delete_kept_image`."""
        return await self._ask(_calls.delete_kept_image(prediction_id))

    async def prediction(self, prediction_id: str) -> AuditRow:
        """See `Client.prediction`."""
        return await self._ask(_calls.prediction(prediction_id))

    async def receipt(self, prediction_id: str) -> Receipt:
        """See `Client.receipt`."""
        return await self._ask(_calls.receipt(prediction_id))

    async def audit(
        self, *, limit: int | None = None, cursor: str | None = None, **only: Unpack[AuditFilter]
    ) -> AuditPage:
        """See `Client.audit`."""
        return await self._ask(_calls.audit(only, limit, cursor))

    async def audit_rows(self, **only: Unpack[AuditFilter]) -> AsyncIterator[AuditRow]:
        """See `Client.audit_rows`; for `async for`."""
        try:
            async with self._http.stream(**_calls.audit_rows(only).as_keywords()) as response:
                if not response.is_success:
                    await response.aread()
                    raise problem_error(response)
                async for line in response.aiter_lines():
                    yield _reading.audit_line(line)
        except httpx.RequestError as error:
            raise transport_error(error) from error

    async def ready(self, pipeline: str | None = None) -> bool:
        """See `Client.ready`."""
        return await self._ask(_calls.ready(pipeline))

    async def aclose(self) -> None:
        """Closes the connections; leaving the `async with` block does it too."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def _ask(self, call: Call[T]) -> T:
        request = await asyncio.to_thread(call.build)
        steps = with_retries(request, Retries(attempts=1) if call.once else self._retries)
        try:
            step = next(steps)
            while True:
                if isinstance(step, Wait):
                    await asyncio.sleep(step.seconds)
                    step = next(steps)
                else:
                    step = steps.send(await self._send(step))
        except StopIteration as end:
            response: httpx.Response = end.value
        return call.read(response)

    async def _send(self, request: Request) -> Reply:
        try:
            return await self._http.request(**request.as_keywords())
        except httpx.RequestError as error:
            return error
