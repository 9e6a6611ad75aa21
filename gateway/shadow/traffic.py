"""Copies of answered images go to a candidate while nobody else needs the service.

What waits is bounded in number, bytes and time; what does not fit is counted and dropped. Nothing
here answers anybody, waits for a place, or says anything of a pipeline's readiness.
"""

import asyncio
import random
import time
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import structlog

from database import shadow
from database.shadow import Key
from gateway.audit.audit_log import AuditLog
from gateway.core.admission import Admission
from gateway.core.assignment import ReleaseStates
from gateway.core.catalog import Catalog, Pipeline
from gateway.core.request import RequestParameters
from gateway.errors import RefusedError, exception_location
from gateway.results.detection import DetectionResult
from gateway.results.task_handlers import Result, handler_of
from gateway.shadow.comparison import Difference, difference
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.recorder import Outcome
from gateway.triton.client import TritonClient
from gateway.triton.outputs import invalid_model_output
from gateway.triton.triton_errors import CostlyImageError
from pipelines.protocol import COSTLY_APART, Output, Parameter
from pipelines.release_state import BUCKETS

log = structlog.get_logger("gateway")

_MOST = 16
"""Copies that may wait."""
_MOST_BYTES = 32 * 1024 * 1024
"""Of them together."""
_WAIT_SECONDS = 60.0
"""After which a copy that waits is dropped."""
_CALL_SECONDS = 30.0
"""How long the candidate may take for one."""
_PAUSE_SECONDS = 0.02
"""Between two looks whether the service has time, while copies wait."""
_WRITE_SECONDS = 5.0
"""Between two writings of the sums."""
_LEFT_OUT = {Parameter.MEMBER, Parameter.THRESHOLD, Parameter.EXPLAIN}
"""Who chose these got another answer than the release's, or one that took much longer."""
_AS_THE_RELEASE = RequestParameters({})


@dataclass(frozen=True, slots=True)
class Spare:
    """When a gateway has time for copies."""

    below: int
    """While fewer requests than this are in flight."""
    time_share: float
    """Share of time for which a copy may be in Triton, above 0 to 1; of each gateway."""


@dataclass(frozen=True, slots=True)
class _Copy:
    image: bytes
    given: Result
    candidate: str
    until: float
    """When it is dropped, on the monotonic clock."""


class ShadowTraffic:
    """Gives a candidate its copies one after the other, and counts how its answers differ."""

    def __init__(
        self,
        states: ReleaseStates,
        catalog: Catalog,
        admission: Admission,
        triton: TritonClient,
        *,
        audit: AuditLog,
        metrics: Metrics,
        spare: Spare,
    ) -> None:
        """Connects it.

        Args:
            states: say which candidate gets copies of what share of images.
            catalog: says what Triton has loaded.
            admission: says how many requests are in flight.
            triton: is asked, apart from the calls that answers share.
            audit: its writer adds the sums to those in the database.
            metrics: count and measure.
            spare: when there is time for copies.
        """
        self._states = states
        self._catalog = catalog
        self._admission = admission
        self._triton = triton
        self._audit = audit
        self._metrics = metrics
        self._spare = spare
        self._copies: deque[_Copy] = deque()
        self._come = asyncio.Event()
        self._not_before = 0.0
        """When the next copy may be sent, on the monotonic clock."""
        self._counts: Counter[Key] = Counter()
        """What is not in the database yet."""
        self._written = time.monotonic()

    def offer(self, outcomes: Sequence[Outcome]) -> None:
        """Takes copies of the candidate's share of answered images; never waits."""
        for outcome in outcomes:
            given = outcome.result
            if isinstance(given, RefusedError) or _LEFT_OUT & outcome.parameters.values.keys():
                continue
            state = self._states.of(given.pipeline.spec)
            if state is None or state.candidate in {None, given.pipeline.release}:
                continue
            if random.random() * BUCKETS >= state.shadow:  # noqa: S311 - no secret
                continue
            assert state.candidate is not None  # noqa: S101 - looked at above
            if isinstance(given, DetectionResult):
                given = replace(given, visualization=b"")
            copy = _Copy(
                outcome.image.data, given, state.candidate, time.monotonic() + _WAIT_SECONDS
            )
            waiting = sum(len(each.image) for each in self._copies) + len(copy.image)
            if len(self._copies) >= _MOST or waiting > _MOST_BYTES:
                self._ended(copy, shadow.SHED)
                continue
            self._copies.append(copy)
            self._come.set()

    async def watch(self) -> None:
        """Sends copies until it is cancelled; what was counted is then written."""
        try:
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_WRITE_SECONDS):
                        await self._come.wait()
                await self._step()
        finally:
            await self._write()

    async def _step(self) -> None:
        """Sends the next copy, or waits for a moment."""
        while self._copies and self._copies[0].until < time.monotonic():
            self._ended(self._copies.popleft(), shadow.SHED)
        if not self._copies:
            self._come.clear()
        elif self._has_time():
            await self._send(self._copies.popleft())
        else:
            await asyncio.sleep(_PAUSE_SECONDS)
        if time.monotonic() - self._written > _WRITE_SECONDS:
            await self._write()

    async def _write(self) -> None:
        """Adds the sums to those in the database; where that fails, they are added later."""
        self._written = time.monotonic()
        counts, self._counts = self._counts, Counter()
        if not counts:
            return
        try:
            await self._audit.run(lambda connection: shadow.add(connection, counts))
        except Exception as error:  # noqa: BLE001 - what is counted must not end what counts
            self._counts += counts
            if not isinstance(error, RefusedError):
                # The writer says by itself that the database is away.
                log.error(  # noqa: TRY400 - no traceback
                    "shadow not written",
                    error=type(error).__name__,
                    where=exception_location(error),
                )

    def _has_time(self) -> bool:
        idle = self._admission.places.held < self._spare.below
        return idle and time.monotonic() >= self._not_before

    async def _send(self, copy: _Copy) -> None:
        pipeline = copy.given.pipeline
        state = self._states.of(pipeline.spec)
        candidate = self._catalog.loaded(pipeline.name, copy.candidate)
        if candidate is None or state is None or state.candidate != copy.candidate:
            # It was retired or promoted meanwhile, or is not loaded yet.
            self._ended(copy, shadow.SHED)
            return
        began = time.monotonic()
        try:
            result = await self._ask(candidate, copy.image)
            found = difference(copy.given, result)
        except CostlyImageError:
            self._ended(copy, shadow.SHED)
        except Exception as error:  # noqa: BLE001 - whatever it is, only the comparison failed
            self._ended(copy, shadow.FAILED)
            if not isinstance(error, RefusedError):
                log.error(  # noqa: TRY400 - no traceback
                    "shadow", error=type(error).__name__, where=exception_location(error)
                )
        else:
            self._compared(copy, result, found)
        seconds = time.monotonic() - began
        self._metrics.shadow_seconds.labels(pipeline.name, copy.candidate).observe(seconds)
        self._not_before = time.monotonic() + seconds * (1 / self._spare.time_share - 1)

    async def _ask(self, candidate: Pipeline, image: bytes) -> Result:
        """The candidate's result.

        Raises:
            RefusedError: there is none.
            CostlyImageError: the image would keep the candidate's decoding busy.
        """
        (outputs,) = await self._triton.infer(
            candidate.model, [image], {COSTLY_APART: "true"}, _CALL_SECONDS
        )
        if outputs.text(Output.RELEASE) != candidate.release:
            raise invalid_model_output()
        result: Result = handler_of(candidate).read(outputs, candidate, _AS_THE_RELEASE)
        return result

    def _compared(self, copy: _Copy, result: Result, found: Difference) -> None:
        self._ended(copy, shadow.COMPARED)
        labels = copy.given.pipeline.name, copy.candidate
        for what, differs in found.differs.items():
            # Also by 0: a counter that is born at 1 hides its first increase.
            self._metrics.shadow_differs.labels(*labels, what).inc(differs)
            self._count(copy, shadow.DIFFERS, what, int(differs))
        for value in found.values:
            self._metrics.shadow_value.labels(*labels).observe(value)
            self._count(copy, shadow.VALUE, _bucket(value))
        if found.uncertainty is not None:
            self._metrics.shadow_uncertainty.labels(*labels).observe(found.uncertainty)
            self._count(copy, shadow.UNCERTAINTY, _bucket(found.uncertainty))
        for whose, each in ((shadow.GIVEN, copy.given), (shadow.CANDIDATE, result)):
            self._count(copy, shadow.COMPUTE, whose, round(each.compute.seconds() * 1e6))

    def _ended(self, copy: _Copy, outcome: str) -> None:
        self._metrics.shadow_images.labels(copy.given.pipeline.name, copy.candidate, outcome).inc()
        self._count(copy, shadow.IMAGES, outcome)

    def _count(self, copy: _Copy, figure: str, bucket: str, count: int = 1) -> None:
        given = copy.given.pipeline
        self._counts[Key(given.name, given.release, copy.candidate, figure, bucket)] += count


def _bucket(difference: float) -> str:
    """The bound that a difference is counted at; rounding may take it just beyond the last."""
    bound = next((bound for bound in shadow.BOUNDS if difference <= bound), shadow.BOUNDS[-1])
    return f"{bound:g}"
