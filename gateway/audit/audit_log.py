"""The audit log of one gateway: a row for each image before its answer, receipts, checkpoints."""

import asyncio
import hmac
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar

import structlog
from sqlalchemy import Connection, insert

from database.chain import Receipt, SignedReceipt, Statement, sign, signed_receipt
from database.clock import now
from database.outages import DatabaseUnavailableError, RowRefusedError
from database.own_chain import Row
from database.tables import checkpoints
from database.write_queue import Then
from database.writer import Observer, Writer
from gateway.audit.rows import prediction_row, refusal_row
from gateway.core.request import Image
from gateway.errors import Code, RefusedError
from gateway.secret_files import SecretFiles
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.recorder import Outcome, RequestContext

log = structlog.get_logger("gateway")
T = TypeVar("T")

Finish = Callable[[Connection, Sequence[Outcome]], None]
"""Writes more in the transaction of the rows of outcomes, which it is given with their receipts."""
CHECKPOINT_SECONDS = 60.0
REFUSALS_A_MINUTE = 600
"""Rows of refused requests of one caller: a loop that is refused does not fill the disk."""
IN_A_THREAD = 1024 * 1024
"""Bytes from which on digests are made beside the event loop."""


class AuditLog:
    """Accounts for the requests of one gateway."""

    def __init__(self, writer: Writer, secrets: SecretFiles) -> None:
        """Connects the log.

        Args:
            writer: writes its rows.
            secrets: the pepper, for digests of images; and the key of receipts and checkpoints.

        Raises:
            SecretError: one is not there.
        """
        self._writer = writer
        self._digest_key = hmac.digest(secrets.pepper(), b"digest of an input", "sha256")
        self._key = secrets.audit_signing_key()
        self._last: Receipt | None = None
        """Of the last checkpoint."""
        self._minute = 0
        self._refusals: Counter[str] = Counter()
        """Rows of refused requests by caller, in this minute."""

    @property
    def available(self) -> bool:
        """Whether rows can be written now."""
        return self._writer.available

    def require_available(self) -> None:
        """Refuses a request whose row could not be written, before work is spent on it.

        Raises:
            RefusedError: with `unavailable`.
        """
        if not self._writer.available:
            raise _unavailable()

    async def account(
        self,
        context: RequestContext,
        outcomes: Sequence[Outcome],
        finish: Finish | None = None,
    ) -> list[Outcome]:
        """Writes a row for each image; returns the outcomes with their receipts.

        Args:
            context: of the request.
            outcomes: of its images.
            finish: writes more in the same transaction, in the writer's thread.

        Raises:
            RefusedError: with `unavailable` where the rows cannot be written, with `internal` where
                the database refuses one; or what `finish` raises: then there are no rows.
        """
        digests = await self._digests([outcome.image for outcome in outcomes])
        rows = [
            prediction_row(context, outcome, digest)
            for outcome, digest in zip(outcomes, digests, strict=True)
        ]

        def accounted(receipts: Sequence[Receipt]) -> list[Outcome]:
            if context.signed_receipt:
                made = zip(receipts, rows, strict=True)
                receipts = [self.signed(receipt, row["at"]) for receipt, row in made]
            return [
                replace(outcome, receipt=receipt)
                for outcome, receipt in zip(outcomes, receipts, strict=True)
            ]

        def then(connection: Connection, receipts: Sequence[Receipt]) -> None:
            if finish is not None:
                finish(connection, accounted(receipts))

        receipts = await self.write(rows, then if finish else None)
        context.accounted = True
        return accounted(receipts)

    async def write(self, rows: Sequence[Row], then: Then | None = None) -> list[Receipt]:
        """Writes rows, and what `then` writes; they are on disk when it returns.

        Raises:
            RefusedError: as `account`.
        """
        try:
            return await self._writer.write_all(rows, then)
        except DatabaseUnavailableError:
            raise _unavailable() from None
        except RowRefusedError as error:
            log.error("audit_row_refused", error=str(error))  # noqa: TRY400 - no traceback
            raise RefusedError(
                Code.INTERNAL, "request: the service failed. Report the request_id to its operator."
            ) from None

    async def run(self, function: Callable[[Connection], T]) -> T:
        """Has the writer call a function in its transaction; see `Writer.run`.

        Raises:
            RefusedError: with `unavailable`.
            Exception: what the function raises.
        """
        try:
            return await self._writer.run(function)
        except DatabaseUnavailableError:
            raise _unavailable() from None

    def refused(self, context: RequestContext) -> None:
        """Writes a row of a request that a known caller sent and that was refused as a whole.

        Nobody waits for it. Callers without credentials are counted in metrics only, as is what one
        caller sends beyond `REFUSALS_A_MINUTE`.
        """
        refusal = context.refusal
        if refusal is None or context.accounted or not context.principal.known:
            return
        if (minute := int(time.monotonic() / 60)) != self._minute:
            self._minute = minute
            self._refusals.clear()
        self._refusals[context.principal.id] += 1
        if self._refusals[context.principal.id] <= REFUSALS_A_MINUTE:
            self._writer.write_soon(refusal_row(context, refusal))

    def signed(self, receipt: Receipt, at: int) -> SignedReceipt:
        """A receipt with the time of its row and a signature."""
        return signed_receipt(self._key, receipt, at)

    async def watch(self) -> None:
        """Writes a checkpoint each minute, for as long as the gateway runs."""
        while True:
            await asyncio.sleep(CHECKPOINT_SECONDS)
            await self.checkpoint()

    async def checkpoint(self) -> None:
        """Signs the chain's head, into the database and into the logs, unless it did not move."""
        head = self._writer.receipt
        if head is None or head == self._last:
            return
        signed = sign(self._key, Statement.HEAD, head, now())
        row = {name: value for name, value in signed.items() if name != "statement"}
        row["kind"] = signed["statement"]
        # The logs have it also where the database does not take it.
        log.info("checkpoint", **signed)
        self._last = head
        with suppress(DatabaseUnavailableError):
            await self._writer.run(lambda connection: _insert(connection, row))

    async def _digests(self, images: Sequence[Image]) -> list[str]:
        if sum(len(image.data) for image in images) < IN_A_THREAD:
            return self._digests_of(images)
        return await asyncio.to_thread(self._digests_of, images)

    def _digests_of(self, images: Sequence[Image]) -> list[str]:
        return [hmac.digest(self._digest_key, image.data, "sha256").hex() for image in images]


class WriterMetrics(Observer):
    """Counts what the writer does."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def committed(self, rows: int, seconds: float) -> None:
        """Counts the rows and the time of a transaction."""
        self._metrics.audit_rows.inc(rows)
        self._metrics.audit_commit_seconds.observe(seconds)

    def failed(self) -> None:
        """Counts a transaction that could not be written."""
        self._metrics.audit_failures.inc()

    def refused(self) -> None:
        """Counts a row that the database refused."""
        self._metrics.audit_rows_refused.inc()


def _insert(connection: Connection, row: dict[str, Any]) -> None:
    connection.execute(insert(checkpoints), row)


def _unavailable() -> RefusedError:
    return RefusedError(
        Code.UNAVAILABLE,
        "service: it cannot write its audit log, so it answers nothing. Try again after the "
        "seconds in Retry-After.",
        reason="audit",
    )
