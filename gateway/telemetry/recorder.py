"""The one recorder: metrics of images, results and requests, and the log line of each request."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import structlog

from gateway.core.request import Image
from gateway.errors import Code, RefusedError, exception_location
from gateway.results.classification import ClassificationResult
from gateway.results.outcome import Outcome
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.request_context import RequestContext

log = structlog.get_logger("gateway")


class InferenceTelemetry:
    """Records what happens to images and requests, whatever the transport."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def sent(self, images: Sequence[Image], formats: Sequence[str]) -> None:
        """Images go to Triton."""
        for image, found in zip(images, formats, strict=True):
            self._metrics.images.labels(found).inc()
            self._metrics.image_bytes.observe(len(image.data))

    @contextmanager
    def stage(self, pipeline: str, name: str) -> Iterator[None]:
        """Measures a stage that a request may have several times: `queue` or `infer`."""
        start = time.perf_counter()
        try:
            yield
        finally:
            seconds = time.perf_counter() - start
            self._metrics.stage_seconds.labels(pipeline, name).observe(seconds)

    def triton_queue_full(self, pipeline: str) -> None:
        """Triton refused an image, because a queue that its model bounds is full."""
        self._metrics.refused.labels(pipeline, "triton_queue").inc()

    def record(self, context: RequestContext, outcomes: Sequence[Outcome]) -> None:
        """The outcomes of the images of a request.

        The `prediction_*` metrics count what the pipeline's own members say, and not the result
        of a member that a request chose.
        """
        if len(outcomes) == 1:
            context.facts["prediction_id"] = outcomes[0].prediction_id
        for outcome in outcomes:
            result = outcome.result
            if isinstance(result, RefusedError) or outcome.parameters.member is not None:
                continue
            name, release = result.pipeline.name, result.pipeline.release
            for label, score in result.label_scores:
                self._metrics.confidence.labels(name, release, label).observe(score)
            if isinstance(result, ClassificationResult):
                self._metrics.disagreement.labels(name, release).observe(result.disagreement)
                self._metrics.uncertainty.labels(name, release, result.level).inc()

    def end(self, context: RequestContext, status: int | str | None) -> None:
        """Counts and logs a request that is over, unless it is quiet.

        Args:
            context: what is known about it.
            status: the transport's; None where no answer was begun.
        """
        refusal = context.refusal
        if refusal and refusal.reason:
            self._metrics.refused.labels(context.pipeline, refusal.reason).inc()
        if context.quiet:
            return
        total = context.elapsed()
        self._metrics.requests.labels(context.pipeline, context.route, context.outcome).inc()
        if context.prediction:
            self._metrics.request_seconds.labels(context.pipeline).observe(total)
            for stage in ("receive", "render"):
                if stage in context.seconds:
                    seconds = context.seconds[stage]
                    self._metrics.stage_seconds.labels(context.pipeline, stage).observe(seconds)
        caller = {} if context.caller is None else {"caller": context.caller}
        log.info(
            "request",
            request_id=context.request_id,
            route=context.route,
            pipeline=context.pipeline,
            status=status,
            outcome=context.outcome,
            total_ms=round(total * 1000, 1),
            **{f"{name}_ms": round(value * 1000, 1) for name, value in context.seconds.items()},
            **caller,
            **context.facts,
        )

    def unexpected(self, error: BaseException, context: RequestContext) -> RefusedError:
        """Logs an error that should never happen; returns what its caller is told."""
        log.error(
            "unexpected",
            request_id=context.request_id,
            error=type(error).__name__,
            where=exception_location(error),
        )
        return RefusedError(
            Code.INTERNAL, "request: the service failed. Report the request_id to its operator."
        )
