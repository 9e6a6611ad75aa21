"""What an operator asks of the releases: how they are, how they became so, and a change of them."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Connection, Engine

from database import releases as history
from database.engine import reading
from database.releases import Author, Entry
from database.shadow import Comparison, comparisons
from gateway.audit.audit_log import AuditLog
from gateway.audit.rows import Event, reading_row
from gateway.core.catalog import Catalog, Pipeline
from gateway.errors import Code, RefusedError
from gateway.telemetry.recorder import RequestContext
from pipelines import release_changes as changes
from pipelines.gate_verdict import grounds
from pipelines.release import Release, ReleaseError
from pipelines.release_changes import Action, Change, ChangeRefusedError
from pipelines.release_mirror import check, mirror
from pipelines.release_state import ReleaseState

log = structlog.get_logger("gateway")


@dataclass(frozen=True, slots=True)
class Wish:
    """A change that is asked for."""

    action: Action
    release: str | None = None
    share: int | None = None
    evidence: str | None = None
    revision: int | None = None
    """Of a rollback: only if nothing was changed since."""
    without_gate: str | None = None
    """Why a promotion needs no gate report."""
    dry_run: bool = False

    def change(self) -> Change:
        """What it does to a state.

        Raises:
            ChangeRefusedError: it lacks what the action needs.
        """
        if self.action in {Action.SPLIT, Action.SHADOW}:
            if self.share is None:
                raise ChangeRefusedError("share: name it, from 0 to 10,000 parts")
            made = changes.split if self.action is Action.SPLIT else changes.shadow
            return made(self.share, self.release)
        if self.action is Action.PROMOTE:
            return changes.promote(self.release)
        if self.action is Action.ROLLBACK:
            return changes.rollback(self.release, self.revision)
        if self.release is None:
            raise ChangeRefusedError("release: name it")
        return (changes.stage if self.action is Action.STAGE else changes.retire)(self.release)


class ReleaseChanges:
    """Changes releases as `python -m releases` does, each with a row of the audit log."""

    def __init__(
        self, audit: AuditLog, engine: Engine, catalog: Catalog, repository: Path | None
    ) -> None:
        """Connects it.

        Args:
            audit: writes.
            engine: of the database.
            catalog: says what Triton has loaded.
            repository: Triton's, which follows the changes; None: it is not reached from here.
        """
        self._audit = audit
        self._engine = reading(engine)
        self._catalog = catalog
        self._repository = repository

    async def state(self, name: str) -> tuple[ReleaseState, list[str]]:
        """The state of a pipeline, and which of its releases Triton has loaded.

        Raises:
            RefusedError: there is no such pipeline.
        """
        pipeline = await self._catalog.find(name)
        found = await asyncio.to_thread(self._state_of, pipeline)
        state = found or self._first(pipeline)
        return state, [each for each in state.loaded if self._catalog.loaded(name, each)]

    async def history(self, name: str) -> list[Entry]:
        """The changes of a pipeline's releases, the newest first.

        Raises:
            RefusedError: there is no such pipeline.
        """
        pipeline = await self._catalog.find(name)
        return await asyncio.to_thread(self._entries, pipeline)

    async def compared(self, name: str) -> list[Comparison]:
        """What was compared of a pipeline's candidates.

        Raises:
            RefusedError: there is no such pipeline.
        """
        pipeline = await self._catalog.find(name)
        return await asyncio.to_thread(self._comparisons, pipeline.name)

    async def make(self, context: RequestContext, name: str, wish: Wish) -> ReleaseState:
        """Makes a change; returns the state after it.

        Raises:
            RefusedError: it cannot be made now, or not be written.
        """
        pipeline = await self._catalog.find(name)
        context.pipeline = pipeline.name
        try:
            change = wish.change()
            await self._require_usable(pipeline, wish)
            if wish.action is Action.PROMOTE:
                wish, change = await asyncio.to_thread(self._gated, pipeline, wish)
            state = await self._written(context, pipeline, wish, change)
        except (ChangeRefusedError, ReleaseError) as error:
            raise RefusedError(Code.RELEASE_REFUSED, f"releases: {error}.") from None
        if not wish.dry_run:
            await self._follow(state)
        return state

    async def _require_usable(self, pipeline: Pipeline, wish: Wish) -> None:
        if wish.action is Action.STAGE:
            if self._repository is None:
                raise ChangeRefusedError(
                    "this gateway does not reach the model repository (GATEWAY_MODEL_REPOSITORY): "
                    "run python -m releases stage beside the server"
                )
            assert wish.release is not None  # noqa: S101 - `Wish.change` looked
            await asyncio.to_thread(self._check, pipeline, wish.release)
        state = await asyncio.to_thread(self._state_of, pipeline)
        if state is None:
            return
        needed: str | None = None
        shared = wish.action in {Action.SHADOW, Action.SPLIT} and wish.share
        if wish.action is Action.PROMOTE or shared:
            needed = state.candidate
        elif wish.action is Action.ROLLBACK and (not state.share or wish.release == state.current):
            needed = state.former
        if needed is not None and self._catalog.loaded(pipeline.name, needed) is None:
            # It may be loaded since the last look.
            await self._catalog.refresh()
            if self._catalog.loaded(pipeline.name, needed) is None:
                raise ChangeRefusedError(f"{needed} is not loaded yet")

    def _gated(self, pipeline: Pipeline, wish: Wish) -> tuple[Wish, Change]:
        """A promotion with what it rests on, of exactly the releases that a gate compared."""
        state = self._state_of(pipeline)
        candidate, current = changes.candidate_and_current(state, wish.release)
        rests_on = grounds(
            pipeline.name, candidate, current, self._repository, without_gate=wish.without_gate
        )
        evidence = "; ".join(filter(None, (rests_on, wish.evidence)))
        return replace(wish, evidence=evidence), changes.promote(candidate, current)

    def _check(self, pipeline: Pipeline, identity: str) -> None:
        assert self._repository is not None  # noqa: S101 - who asks has looked
        release = Release.read(pipeline.name, identity, self._repository)
        if release.spec.profile != pipeline.spec.profile:
            raise ChangeRefusedError(
                f"{identity} is of profile {release.spec.profile}, and {pipeline.spec.profile} is "
                "served"
            )
        check(release, pipeline.release, self._repository)

    async def _written(
        self, context: RequestContext, pipeline: Pipeline, wish: Wish, change: Change
    ) -> ReleaseState:
        made: list[ReleaseState] = []

        def apply(connection: Connection, *_: object) -> None:
            state = history.apply(
                connection,
                wish.action,
                change,
                first=lambda: self._first(pipeline),
                pipeline=pipeline.name,
                profile=pipeline.spec.profile,
                author=Author(context.principal.name, wish.evidence),
            )
            made.append(state)

        def tried() -> None:
            with self._engine.connect() as connection:
                transaction = connection.begin()
                apply(connection)
                transaction.rollback()

        if wish.dry_run:
            await asyncio.to_thread(tried)
        else:
            said: Mapping[str, Any] = {
                "action": wish.action,
                "release": wish.release,
                "share": wish.share,
                # Not the reason: no free text of a caller is in a row.
                "without_gate": wish.without_gate is not None,
            }
            row = reading_row(context, Event.RELEASE, {k: v for k, v in said.items() if v})
            await self._audit.write([row], apply)
        return made[-1]

    async def _follow(self, state: ReleaseState) -> None:
        """Has the repository follow; where that fails the change is in effect all the same."""
        if self._repository is None:
            return
        try:
            await asyncio.to_thread(mirror, [state], self._repository)
        except (ReleaseError, OSError) as error:
            log.error("release state not mirrored", error=str(error))  # noqa: TRY400

    def _state_of(self, pipeline: Pipeline) -> ReleaseState | None:
        with self._engine.connect() as connection:
            return history.state_of(connection, pipeline.name, pipeline.spec.profile)

    def _entries(self, pipeline: Pipeline) -> list[Entry]:
        with self._engine.connect() as connection:
            return history.entries(connection, pipeline.name, pipeline.spec.profile)

    def _comparisons(self, pipeline: str) -> list[Comparison]:
        with self._engine.connect() as connection:
            return comparisons(connection, pipeline)

    def _first(self, pipeline: Pipeline) -> ReleaseState:
        """What the database begins with: what the repository says, or what serves."""
        name, profile = pipeline.name, pipeline.spec.profile
        known = self._repository and ReleaseState.read(name, profile, self._repository)
        return known or _serving(pipeline)


def _serving(pipeline: Pipeline) -> ReleaseState:
    return ReleaseState(
        pipeline=pipeline.name,
        profile=pipeline.spec.profile,
        revision=1,
        current=pipeline.release,
    )
