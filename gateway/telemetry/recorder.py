"""The context of each request and the outcome of each image, recorded as metrics and log lines."""

import re
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import UUID, uuid4

import structlog

from database.chain import Receipt
from gateway.core.request import (
    KEEP_IMAGE,
    RELEASE,
    RESPOND_WITHIN,
    SIGNED_RECEIPT,
    SUBJECT,
    Image,
    RequestParameters,
    release_of,
    respond_within_of,
    subject_of,
    yes_or_no,
)
from gateway.errors import Code, RefusedError, exception_location
from gateway.identity.principal import NOBODY, Principal, Role
from gateway.results.classification import ClassificationResult
from gateway.results.compute import ComputeTime
from gateway.results.facts import Account
from gateway.results.task_handlers import Result
from gateway.telemetry.metrics import NO_PIPELINE, Metrics
from gateway.telemetry.tracing import InferSpan, RequestTrace, Tracing
from gateway.triton.outputs import Outputs
from pipelines.formats import sniff

log = structlog.get_logger("gateway")

HEADER = "x-request-id"
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(slots=True)
class RequestContext:
    """Filled in by whoever handles the request; never with data of an image or its file name."""

    request_id: str
    started: float = field(default_factory=time.perf_counter)
    transport: Literal["http", "kserve", "grpc", "command"] = "http"
    route: str = "none"
    pipeline: str = NO_PIPELINE
    principal: Principal = NOBODY
    """Who asks; nobody until the credentials are checked."""
    address: str = ""
    """The network address that the request came from; it is not logged."""
    refusal: RefusedError | None = None
    """Why the request as a whole got no answer."""
    replayed: bool = False
    """The answer is that of an earlier request with the same idempotency key."""
    gone: bool = False
    """The caller hung up before the answer."""
    accounted: bool = False
    """The audit log has rows of it."""
    keep_image: bool | None = None
    """Whether the caller consents that the images are kept; None where nothing was said."""
    signed_receipt: bool = False
    """Whether the caller asks for signed receipts."""
    subject: str | None = None
    """Whose images they are, as the caller names it. It is neither logged nor stored."""
    release: str | None = None
    """The loaded release that an operator wants to be answered by; None leaves it to the split."""
    respond_within: float | None = None
    """Seconds within which the caller wants its answer; None where nothing was said."""
    quiet: bool = False
    """A probe or a scrape: neither logged nor counted."""
    prediction: bool = False
    """A request about images of a known pipeline."""
    answer_fields: dict[str, str] = field(default_factory=dict)
    """Header fields, or metadata, of the answer: what is left of the caller's limits."""
    facts: dict[str, Any] = field(default_factory=dict)
    """More for the log line: bytes, format, images, failed."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Time of each stage."""
    trace: RequestTrace | None = None
    """None where requests are not traced."""

    def read_wishes(self, header: Callable[[str], str | None]) -> None:
        """Reads what the headers, or the metadata, of a request about images ask for.

        Args:
            header: the value of a header; None where there is none.

        Raises:
            RefusedError: one says what it may not, or names a release without the role `operate`.
        """
        self.read_release(header)
        self.keep_image = yes_or_no(KEEP_IMAGE, header(KEEP_IMAGE))
        self.signed_receipt = bool(yes_or_no(SIGNED_RECEIPT, header(SIGNED_RECEIPT)))
        self.subject = subject_of(header(SUBJECT))
        self.respond_within = respond_within_of(header(RESPOND_WITHIN))

    def read_release(self, header: Callable[[str], str | None]) -> None:
        """Reads which release is to answer; see `read_wishes`.

        Raises:
            RefusedError: it is no id, or the caller lacks the role `operate`.
        """
        if (said := header(RELEASE)) is not None:
            self.principal.require(Role.OPERATE)
            self.release = release_of(said)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measures the time of what runs inside, also where it fails."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = time.perf_counter() - start
            # The trace has `infer` from the dataplane, for each image.
            if self.trace is not None and name != "infer":
                self.trace.passed(name, self.seconds[name])

    def received(self, images: Sequence[Image], *, batch: bool) -> None:
        """Notes size and format of the image of a request, or size and number of its images."""
        self.facts["bytes"] = sum(len(image.data) for image in images)
        if batch:
            self.facts["images"] = len(images)
        else:
            self.facts["format"] = sniff(images[0].data)

    @property
    def share_holder(self) -> str:
        """Whose share of the limits the request counts to: the caller's, or else the address's."""
        return self.principal.id if self.principal.known else self.address

    def refuse(self, refusal: RefusedError) -> RefusedError:
        """Notes, and returns, why the request as a whole got no answer."""
        self.refusal = refusal.forget_origin()
        return self.refusal

    def elapsed(self) -> float:
        """Seconds since the request's headers."""
        return time.perf_counter() - self.started

    @property
    def outcome(self) -> str:
        """`ok`, `gone` or a problem's code."""
        if self.gone:
            return "gone"
        return self.refusal.code if self.refusal else "ok"


def request_id(sent: str | None) -> str:
    """The caller's id of the request where it has the form of one, else a new one."""
    return sent if sent and _ID.fullmatch(sent) else uuid4().hex


def new_prediction_id() -> str:
    """A UUIDv7 (RFC 9562): its first 48 bits are the time in milliseconds, the others random."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds << 80) | secrets.randbits(80)
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(UUID(int=value))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one image, whatever the transport."""

    principal: Principal
    """Who asked."""
    pipeline: str
    image: Image
    """Its `digest` identifies the encoded bytes."""
    parameters: RequestParameters
    result: Result | RefusedError
    outputs: Outputs | None = None
    """Triton's tensors of the image, where there is a result."""
    seconds: float = 0.0
    """From the request to Triton to the result, with the wait for a free call."""
    prediction_id: str = field(default_factory=new_prediction_id)
    kept: bool | None = None
    """Whether the image was kept; None where the request says nothing of it."""
    receipt: Receipt | None = None
    """Of its row in the audit log; None before that is written."""

    @property
    def account(self) -> Account:
        """Where the audit log has its row. Read it only once that is written."""
        assert self.receipt is not None  # noqa: S101 - the dataplane gives no outcome without it
        return Account(self.prediction_id, self.receipt, self.kept)

    @property
    def release(self) -> str | None:
        """The release that answered; None where there is no result."""
        return None if isinstance(self.result, RefusedError) else self.result.pipeline.release

    @property
    def compute(self) -> ComputeTime | None:
        """What the image cost to compute; None where there is no result, as nobody says."""
        return None if isinstance(self.result, RefusedError) else self.result.compute

    def answered(self) -> Result:
        """The result.

        Raises:
            RefusedError: there is none.
        """
        if isinstance(self.result, RefusedError):
            raise self.result
        return self.result


class InferenceTelemetry:
    """Records what happens to images and requests, whatever the transport."""

    def __init__(
        self,
        metrics: Metrics,
        account: Callable[[RequestContext], None] | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        """Connects it.

        Args:
            metrics: count and measure.
            account: notes, at the end of each request, one that was refused.
            tracing: makes traces; None: there are none.
        """
        self._metrics = metrics
        self._account = account
        self._tracing = tracing

    def begin(
        self, context: RequestContext, headers: Iterable[tuple[str | bytes, str | bytes]]
    ) -> None:
        """A request begins; where requests are traced, it goes on with its caller's trace."""
        if self._tracing is not None:
            context.trace = self._tracing.begin(headers)

    def close(self) -> None:
        """Sends what is left of the traces. May take a few seconds."""
        if self._tracing is not None:
            self._tracing.close()

    def sent(self, images: Sequence[Image], formats: Sequence[str]) -> None:
        """Images go to Triton."""
        for image, found in zip(images, formats, strict=True):
            self._metrics.images.labels(found).inc()
            self._metrics.image_bytes.observe(len(image.data))

    @contextmanager
    def stage(self, context: RequestContext, name: str) -> Iterator[None]:
        """Measures a stage that a request may have several times, as `queue`."""
        start = time.perf_counter()
        try:
            yield
        finally:
            seconds = time.perf_counter() - start
            self._metrics.stage_seconds.labels(context.pipeline, name).observe(seconds)
            if context.trace is not None:
                context.trace.passed(name, seconds)

    @contextmanager
    def inference(self, context: RequestContext) -> Iterator[InferSpan | None]:
        """Measures the stage `infer`; gives its span where the request is traced."""
        span = None if context.trace is None else context.trace.infer()
        start = time.perf_counter()
        try:
            yield span
        finally:
            seconds = time.perf_counter() - start
            self._metrics.stage_seconds.labels(context.pipeline, "infer").observe(seconds)
            if span is not None:
                span.end()

    def triton_queue_full(self, pipeline: str) -> None:
        """Triton refused an image, because a queue that its model bounds is full."""
        self._metrics.refused.labels(pipeline, "triton_queue").inc()

    def record(self, context: RequestContext, outcomes: Sequence[Outcome]) -> None:
        """The outcomes of the images of a request.

        The `prediction_*` metrics count what the pipeline's own members say, and not the result
        of a member that a request chose; but for typicality, which is the image's own. What an
        operator asks a release by name, as a gate does, is no traffic and not counted there.
        """
        if len(outcomes) == 1:
            context.facts["prediction_id"] = outcomes[0].prediction_id
        if context.release is not None:
            return
        for outcome in outcomes:
            result = outcome.result
            if isinstance(result, RefusedError):
                continue
            name, release = result.pipeline.name, result.pipeline.release
            if (typical := result.kind["typical"]) is not None:
                counts = self._metrics.typicality
                # Also by 0: a counter that is born at 1 hides its first increase.
                counts.labels(name, release, "yes").inc(typical)
                counts.labels(name, release, "no").inc(not typical)
            if outcome.parameters.member is not None:
                continue
            self._metrics.answered.labels(name, release).inc()
            for code in result.quality.judged:
                # Also by 0: a counter that is born at 1 hides its first increase.
                beyond = code in result.quality.warnings
                self._metrics.quality_warnings.labels(name, release, code).inc(beyond)
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
        if context.trace is not None:
            code = None if refusal is None else str(refusal.code)
            context.trace.end(context.route, _attributes(context, status), code)
        if refusal and self._account:
            self._account(context)
        total = context.elapsed()
        self._metrics.requests.labels(context.pipeline, context.route, context.outcome).inc()
        if context.prediction:
            self._metrics.request_seconds.labels(context.pipeline).observe(total)
            for stage in ("receive", "render"):
                if stage in context.seconds:
                    seconds = context.seconds[stage]
                    self._metrics.stage_seconds.labels(context.pipeline, stage).observe(seconds)
        caller = {"caller": context.principal.name} if context.principal.known else {}
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
            **({"replayed": True} if context.replayed else {}),
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


def _attributes(context: RequestContext, status: int | str | None) -> dict[str, str | int | None]:
    """What the trace of a request says of it."""
    images = context.facts.get("images", 1) if context.prediction else None
    return {
        "request_id": context.request_id,
        "route": context.route,
        "pipeline": context.pipeline,
        "outcome": context.outcome,
        "status": None if status is None else str(status),
        "images": images,
        "bytes": context.facts.get("bytes"),
        "prediction_id": context.facts.get("prediction_id"),
    }
