"""The blocking client."""

import time
from collections.abc import Iterable, Iterator, Sequence
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


class Client:
    """Asks a Second Opinion service, and waits for the answers. Threads may share it.

    Every method raises a SecondOpinionError where there is no answer (its module draws the tree),
    and OSError where an image cannot be read.

    Args:
        url: Base URL; else the environment's SECONDOPINION_URL, else http://127.0.0.1:8080.
        api_key: Sent as X-API-Key; else the environment's SECONDOPINION_API_KEY, else none.
        token: Sent as a bearer token in the place of a key; else, where there is no key, the
            environment's SECONDOPINION_TOKEN. It is not renewed.
        timeout: Seconds to wait for an answer to one attempt.
        retries: How patiently to ask again when the service is busy or down.
        ca_file: PEM file of the authority of the service's certificate, where it is the site's own;
            else the environment's SECONDOPINION_CA_FILE, else the usual authorities.
        certificate_file: PEM file of the client's own certificate, where the service wants one;
            else the environment's SECONDOPINION_CERTIFICATE_FILE, else none.
        key_file: PEM file of its private key, without a password; else the environment's
            SECONDOPINION_KEY_FILE, else the key is in the certificate's file.

    Raises:
        ValueError: The URL, the key or the token is malformed, a key and a token are given, or a
            file cannot be used.
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
        self._http = httpx.Client(**connection(url, timeout, api_key=api_key, token=token, tls=tls))
        self._retries = retries or Retries()

    def predict(self, image: Image, **choices: Unpack[Choices]) -> Prediction:
        """Asks a classifier for a prediction.

        Args:
            image: A path, the encoded bytes, a file opened in binary mode, a Pillow image, or a
                NumPy array, uint8 RGB [H, W, 3]. The last two are sent as lossless PNG.
            choices: `pipeline`, `threshold`, `top_k`, `member`, `explain`, `keep_image`,
                `signed_receipt`, `respond_within`; see `Choices`.
        """
        return self._ask(_calls.predict(image, **choices))

    def predict_advanced(self, image: Image, **choices: Unpack[Choices]) -> AdvancedPrediction:
        """As `predict`, with the uncertainty and each member's opinion."""
        return self._ask(_calls.predict_advanced(image, **choices))

    def detect(self, image: Image, **choices: Unpack[Choices]) -> Detections:
        """Asks a detector what it finds, and where; masks too, where the pipeline segments.

        Args:
            image: As for `predict`.
            choices: `pipeline`, `threshold`, `member`, `visualization`, `polygons`, `keep_image`,
                `signed_receipt`, `respond_within`; see `Choices`.
        """
        return self._ask(_calls.detect(image, **choices))

    def predict_batch(self, images: Iterable[Image], **choices: Unpack[Choices]) -> BatchResult:
        """Asks a classifier about several images in one request, which holds all of them in memory.

        A bad image has its `error` in its place, also where none is good.

        Raises:
            ValueError: There are no images.
        """
        return self._ask(_calls.predict_batch(images, **choices))

    def detect_batch(self, images: Iterable[Image], **choices: Unpack[Choices]) -> DetectionsBatch:
        """As `predict_batch`, of a detector; a batch has no `visualization`."""
        return self._ask(_calls.detect_batch(images, **choices))

    def pipelines(self) -> Pipelines:
        """What the service offers."""
        return self._ask(_calls.pipelines())

    def pipeline(self, name: str, *, release: str | None = None) -> Pipeline:
        """One pipeline's classes, members, threshold and limits.

        Args:
            name: The pipeline's.
            release: One of its loaded releases, for callers with the role `operate`; None: the one
                that serves.
        """
        return self._ask(_calls.pipeline(name, release))

    def releases(self) -> AllLoadedReleases:
        """Which releases of each pipeline are loaded as what; for the role `operate`."""
        return self._ask(_calls.releases())

    def usage(
        self,
        by: Sequence[str] = (),
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        **only: Unpack[UsageFilter],
    ) -> UsageReport:
        """How many images the service has answered, what came of them, and what that cost.

        Callers see themselves; with the role `operate` all of them.

        Args:
            by: What rows are told apart by: `caller`, `name`, `pipeline`, `release`, `format`,
                `outcome`, `level`, `hour`; of none there is the total alone.
            since: UTC unless it says another zone; None: the beginning of this month.
            until: Likewise; None: now.
            only: Values that images must have.
        """
        return self._ask(_calls.usage(by, since, until, only))

    def feedback(self, prediction_id: str, **finding: Unpack[Finding]) -> FeedbackReceipt:
        """Says what is right of a prediction, or confirms it; returns once that is durable.

        Feedback is appended to what was said before, and replaces nothing.

        Args:
            prediction_id: As the answer has it.
            finding: `label` or `objects`, `kind`, `reader`, `comment`; see `Finding`.
        """
        return self._ask(_calls.feedback(prediction_id, **finding))

    def feedback_history(self, prediction_id: str) -> FeedbackHistory:
        """All feedback of a prediction, the first one first."""
        return self._ask(_calls.feedback_history(prediction_id))

    def delete_comment(self, prediction_id: str, feedback_id: str) -> Deletion:
        """Deletes reader and comment of one feedback; what was found stays."""
        return self._ask(_calls.delete_comment(prediction_id, feedback_id))

    def cases(self, pipeline: str, **page: Unpack[Page]) -> Cases:
        """A page of a pipeline's predictions with their feedback.

        Args:
            pipeline: Its name.
            page: `unlabelled`, `since`, `until`, `after`, `limit`; see `Page`.
        """
        return self._ask(_calls.cases(pipeline, **page))

    def kept_image(self, prediction_id: str) -> bytes:
        """The image of a prediction, as it was sent, where it was kept."""
        return self._ask(_calls.kept_image(prediction_id))

    def delete_kept_image(self, prediction_id: str) -> Deletion:
        """Has the kept image of a prediction destroyed."""
        return self._ask(_calls.delete_kept_image(prediction_id))

    def prediction(self, prediction_id: str) -> AuditRow:
        """What was answered to one's own request: its row in the audit log.

        With the role `audit` also that of other callers.
        """
        return self._ask(_calls.prediction(prediction_id))

    def receipt(self, prediction_id: str) -> Receipt:
        """The receipt of a prediction, signed; who may read the row may read it."""
        return self._ask(_calls.receipt(prediction_id))

    def audit(
        self, *, limit: int | None = None, cursor: str | None = None, **only: Unpack[AuditFilter]
    ) -> AuditPage:
        """A page of the audit log, the newest row first. Needs the role `audit`.

        Args:
            limit: Rows of the page, 1000 at most; None: 100.
            cursor: `next` of the page before.
            only: Values that rows must have; see `AuditFilter`.
        """
        return self._ask(_calls.audit(only, limit, cursor))

    def audit_rows(self, **only: Unpack[AuditFilter]) -> Iterator[AuditRow]:
        """All rows of the audit log that have these values, the newest first, as they come.

        They need no memory that grows with their number. It is asked once, without retries; a
        stream that breaks raises a TransportError.
        """
        try:
            with self._http.stream(**_calls.audit_rows(only).as_keywords()) as response:
                if not response.is_success:
                    response.read()
                    raise problem_error(response)
                for line in response.iter_lines():
                    yield _reading.audit_line(line)
        except httpx.RequestError as error:
            raise transport_error(error) from error

    def ready(self, pipeline: str | None = None) -> bool:
        """Whether this pipeline (None: at least one) answers now. Asks once, without retries."""
        return self._ask(_calls.ready(pipeline))

    def close(self) -> None:
        """Closes the connections; leaving the `with` block does it too."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _ask(self, call: Call[T]) -> T:
        steps = with_retries(call.build(), Retries(attempts=1) if call.once else self._retries)
        try:
            step = next(steps)
            while True:
                if isinstance(step, Wait):
                    time.sleep(step.seconds)
                    step = next(steps)
                else:
                    step = steps.send(self._send(step))
        except StopIteration as end:
            response: httpx.Response = end.value
        return call.read(response)

    def _send(self, request: Request) -> Reply:
        try:
            return self._http.request(**request.as_keywords())
        except httpx.RequestError as error:
            return error
