"""Readiness of each pipeline, from real inferences; the state is cached, so probes are cheap."""

import asyncio
import base64
import time

import structlog

from gateway.core.catalog import Catalog, Pipeline
from gateway.errors import Code, RefusedError, exception_location
from gateway.triton.client import TritonClient

log = structlog.get_logger("gateway")

_PROBE = base64.b64decode(
    b"iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAAAAADhZOFXAAAADElEQVR42mNgoA4AAABIAAEQRe/SAAAAAElFTkSuQmCC"
)
"""A black PNG of 8 x 8 pixels."""
_SOON = 1.0


class Readiness:
    """Watches all pipelines; probes one only where no request to it succeeded lately."""

    def __init__(self, triton: TritonClient, catalog: Catalog, interval: float) -> None:
        self._triton = triton
        self._catalog = catalog
        self._interval = interval
        self._ready: dict[str, bool] = {}
        self._succeeded: dict[str, float] = {}
        self.draining = False
        """The process is stopping and takes no new requests."""

    def states(self) -> dict[str, bool]:
        """Each known pipeline's state, by name."""
        return {pipeline.name: self.ready(pipeline.name) for pipeline in self._catalog.pipelines()}

    def ready(self, name: str) -> bool:
        """Whether a pipeline answers."""
        return self._ready.get(name, False) and not self.draining

    def update(self, name: str, code: Code | None) -> None:
        """Takes what a request met: None is an answer. Only `unavailable` makes it not ready."""
        if code is None:
            self._succeeded[name] = time.monotonic()
            self._ready[name] = True
        elif code is Code.UNAVAILABLE:
            self._ready[name] = False

    async def watch(self) -> None:
        """Keeps the catalogue and the states fresh until it is cancelled."""
        while True:
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001 - the watch must outlive any surprise
                location = exception_location(error)
                log.error("watch failed", error=type(error).__name__, where=location)  # noqa: TRY400
            states = self.states().values()
            settled = states and all(states)
            await asyncio.sleep(self._interval if settled else min(self._interval, _SOON))

    async def look(self) -> None:
        """Refreshes the catalogue and probes the pipelines whose state is old or not ready."""
        await self._catalog.refresh()
        lately = time.monotonic() - self._interval
        await asyncio.gather(
            *(
                self._probe(pipeline)
                for pipeline in self._catalog.pipelines()
                if not self._ready.get(pipeline.name)
                or self._succeeded.get(pipeline.name, 0.0) < lately
            )
        )

    async def _probe(self, pipeline: Pipeline) -> None:
        name, code = pipeline.name, None
        try:
            await self._triton.infer(name, [_PROBE], {}, max(self._interval, _SOON))
        except RefusedError as refusal:
            code = refusal.code
        # A late answer is none: it says as little of a pipeline that is new as of one that hangs.
        late = code is Code.DEADLINE and self._ready.get(name, False)
        ready = late or code in {None, Code.BUSY}
        if ready != self._ready.get(name):
            log.info("readiness", pipeline=name, ready=ready, code=code)
        self._ready[name] = ready
        if code is None:
            self._succeeded[name] = time.monotonic()
