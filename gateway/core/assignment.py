"""Which release of a pipeline answers whom, by the states in the database and a keyed hash."""

import asyncio
import hashlib
import hmac
import time
from collections.abc import Callable, Sequence

import structlog

from gateway.core.catalog import Catalog, Pipeline
from gateway.core.request import Image, RequestParameters
from gateway.errors import exception_location
from pipelines.release import ReleaseError
from pipelines.release_state import BUCKETS, ReleaseState
from pipelines.spec import PipelineSpec

log = structlog.get_logger("gateway")

_SECONDS = 1.0
"""Between two looks at the states."""
_LOADING_SECONDS = 120.0
"""So long after a change a release that is not loaded yet is looked for each second."""
_IN_A_THREAD = 1024 * 1024
"""Bytes from which on digests are made beside the event loop."""


def bucket(key: bytes, pipeline: str, candidate: str, subject: str) -> int:
    """The part of the callers that a subject belongs to, from 0 to 9,999.

    The same on every gateway with the key. A candidate answers the parts below its share: so a
    larger share takes nobody away from it. Each candidate divides the callers anew.
    """
    text = "\0".join((pipeline, candidate, subject)).encode()
    return int.from_bytes(hmac.digest(key, text, "sha256")[:8]) % BUCKETS


class ReleaseStates:
    """The states of all pipelines, read again each second. Without a row a pipeline has none."""

    def __init__(
        self,
        read: Callable[[], Sequence[ReleaseState]],
        follow: Callable[[Sequence[ReleaseState]], object] | None = None,
    ) -> None:
        """Knows nothing yet.

        Args:
            read: gives the states; it may block.
            follow: has the model repository follow them, where it is reached; it may block.
        """
        self._read = read
        self._follow = follow
        self._followed: Sequence[ReleaseState] | None = None
        self._problem = ""
        """Why the repository does not follow, or the states cannot be read; each is said once."""
        self._states: dict[tuple[str, str], ReleaseState] = {}
        self._changed = float("-inf")
        """When a state was last seen to be another one."""

    def of(self, spec: PipelineSpec) -> ReleaseState | None:
        """The state of a pipeline under its profile."""
        return self._states.get((spec.name, spec.profile))

    def current(self, spec: PipelineSpec) -> str | None:
        """The release that is to be the current one; None where nothing was ever changed."""
        state = self.of(spec)
        return None if state is None else state.current

    async def look(self) -> None:
        """Reads the states.

        Raises:
            Exception: whatever the database does; what was known stays.
        """
        found = await asyncio.to_thread(self._read)
        read = {(each.pipeline, each.profile): each for each in found}
        if read != self._states:
            self._changed = time.monotonic()
        self._states = read
        if self._follow is not None and found != self._followed:
            try:
                await asyncio.to_thread(self._follow, found)
                self._followed, self._problem = found, ""
            except (ReleaseError, OSError) as error:
                if self._problem != str(error):
                    log.error("release states not mirrored", error=str(error))  # noqa: TRY400
                self._problem = str(error)

    async def watch(self, catalog: Catalog) -> None:
        """Looks until it is cancelled; has the catalogue look for what is to be loaded."""
        while True:
            try:
                await self.look()
                lately = time.monotonic() - self._changed < _LOADING_SECONDS
                if lately and self._missing(catalog):
                    await catalog.refresh()
            except Exception as error:  # noqa: BLE001 - the watch must outlive any surprise
                location = exception_location(error)
                if self._problem != location:
                    failure = type(error).__name__
                    log.error("release states", error=failure, where=location)  # noqa: TRY400
                self._problem = location
            await asyncio.sleep(_SECONDS)

    def _missing(self, catalog: Catalog) -> bool:
        names = catalog.names()
        return any(
            catalog.loaded(state.pipeline, release) is None
            for state in self._states.values()
            if state.pipeline in names
            for release in state.loaded
        )


class Assignment:
    """Chooses the release that answers a request."""

    def __init__(self, states: ReleaseStates, catalog: Catalog, pepper: bytes) -> None:
        """Connects it; the key of the hash is derived from the pepper, which gateways share."""
        self._states = states
        self._catalog = catalog
        self._key = hmac.digest(pepper, b"release of a subject", "sha256")

    async def choose(
        self,
        current: Pipeline,
        subject: str | None,
        images: Sequence[Image],
        parameters: RequestParameters,
    ) -> Pipeline:
        """The release that answers: the current one, or the candidate for its share of subjects.

        Where no subject is named, the images stand for it. A candidate that is not loaded, or has
        not the member that is asked for, answers nobody.
        """
        state = self._states.of(current.spec)
        if state is None or state.candidate is None or not state.share:
            return current
        candidate = self._catalog.loaded(current.name, state.candidate)
        if candidate is None or parameters.member not in {None, *candidate.spec.members}:
            return current
        if subject is None:
            subject = await _digest(images)
        drawn = bucket(self._key, current.name, state.candidate, subject)
        return candidate if drawn < state.share else current


async def _digest(images: Sequence[Image]) -> str:
    if sum(len(image.data) for image in images) < _IN_A_THREAD:
        return _digest_of(images)
    return await asyncio.to_thread(_digest_of, images)


def _digest_of(images: Sequence[Image]) -> str:
    # No subject that a caller can name has a line break.
    together = "\n".join(image.digest for image in images) + "\n"
    return together if len(images) == 1 else hashlib.sha256(together.encode()).hexdigest() + "\n"
