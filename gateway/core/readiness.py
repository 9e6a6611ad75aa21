"""Readiness of each pipeline, from real inferences; the state is cached, so probes are cheap."""

import asyncio
import time
import urllib.request
from collections.abc import Callable
from http import HTTPStatus

import structlog

from gateway.core.catalog import Catalog, Pipeline
from gateway.errors import Code, RefusedError, exception_location
from gateway.triton.client import TritonClient
from pipelines.protocol import PROBE_IMAGE

log = structlog.get_logger("gateway")

_SOON = 1.0
_FIRST_ANSWER = 4
"""So many times as long as others has the probe of a pipeline that is not ready."""
_SILENT_SECONDS = 60.0
"""A pipeline that has answered nobody for so long is not ready, however alive it seems."""


class Readiness:
    """Watches all pipelines; probes one only where no request to it succeeded lately."""

    def __init__(
        self,
        triton: TritonClient,
        catalog: Catalog,
        interval: float,
        *,
        default: str,
        server_url: str | None = None,
    ) -> None:
        """Knows nothing of any pipeline yet.

        Args:
            triton: where inferences go.
            catalog: the pipelines.
            interval: seconds for which a success counts.
            default: the pipeline of requests that name none.
            server_url: the server's `/readyz`, which is waited for once; None: nothing is.
        """
        self._triton = triton
        self._catalog = catalog
        self._interval = interval
        self._patience = max(_SILENT_SECONDS, 3 * interval)
        self._default = default
        self._server_url = server_url
        self._started = False
        """Whether the wait for all pipelines is over."""
        self._served_since: float | None = None
        """When the server was first seen to be ready."""
        self._ready: dict[str, bool] = {}
        self._succeeded: dict[str, float] = {}
        self._heard: dict[str, float] = {}
        """When a pipeline became ready, or answered last."""
        self.draining = False
        """The process is stopping and takes no new requests."""
        self.can_account: Callable[[], bool] = lambda: True
        """Whether answers can be accounted for: without that none is given."""

    def states(self) -> dict[str, bool]:
        """Each known pipeline's state, by name."""
        return {pipeline.name: self.ready(pipeline.name) for pipeline in self._catalog.pipelines()}

    def ready(self, name: str) -> bool:
        """Whether a pipeline answers, and has answered somebody in the last minute."""
        silent = time.monotonic() - self._heard.get(name, 0.0) > self._patience
        open_to_all = not self.draining and self.can_account()
        return self._ready.get(name, False) and not silent and open_to_all

    def all_ready(self) -> bool:
        """Whether requests may come: see `/readyz`.

        At the start every pipeline is waited for, one that is loaded but does not answer for a
        minute. After that one of many that fails does not take the others away, unless it is the
        default.
        """
        states = self.states()
        since = self._served_since
        if not self._started and since is not None:
            late = time.monotonic() - since > self._patience
            # One that joins later is not waited for.
            self._started = bool(states) and (all(states.values()) or late)
        return self._started and states.get(self._default, any(states.values()))

    def update(self, name: str, code: Code | None) -> None:
        """Takes what a request met: None is an answer. Only `unavailable` makes it not ready."""
        if code is None:
            self._succeeded[name] = self._heard[name] = time.monotonic()
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
        known = bool(self._catalog.pipelines())
        if known and self._served_since is None and await self._server_ready():
            self._served_since = time.monotonic()
        lately = time.monotonic() - self._interval
        await asyncio.gather(
            *(
                self._probe(pipeline)
                for pipeline in self._catalog.pipelines()
                if not self._ready.get(pipeline.name)
                or self._succeeded.get(pipeline.name, 0.0) < lately
            )
        )

    async def _server_ready(self) -> bool:
        return self._server_url is None or await asyncio.to_thread(_says_ok, self._server_url)

    async def _probe(self, pipeline: Pipeline) -> None:
        name, code = pipeline.name, None
        seconds = max(self._interval, _SOON)
        if not self._ready.get(name, False):
            # Or one that answers more slowly than it is asked would never be ready.
            seconds *= _FIRST_ANSWER
        try:
            await self._triton.infer(pipeline.model, [PROBE_IMAGE], {}, seconds)
        except RefusedError as refusal:
            code = refusal.code
        # A late answer is none: it says as little of a pipeline that is new as of one that hangs.
        late = code is Code.DEADLINE and self._ready.get(name, False)
        ready = late or code in {None, Code.BUSY}
        now = time.monotonic()
        if ready != self._ready.get(name):
            log.info("readiness", pipeline=name, ready=ready, code=code)
            self._heard[name] = now
        self._ready[name] = ready
        if code is None:
            self._succeeded[name] = self._heard[name] = now


def _says_ok(url: str) -> bool:
    # The server is private: an http_proxy of the environment is not on the way to it.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=_SOON) as answer:
            return bool(answer.status == HTTPStatus.OK)
    except OSError:
        return False
