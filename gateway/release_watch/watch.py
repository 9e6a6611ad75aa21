"""Watches the newest promotion of each pipeline, and undoes it where that is wanted.

Every gateway looks, at the rows that all of them wrote; what is judged depends on nothing else. The
first one that finds a release worse undoes it: the database takes one change of a revision.
"""

import asyncio
import itertools
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

import structlog
from sqlalchemy import Engine

from database import releases as history
from database.clock import now
from database.engine import reading
from database.live_figures import Samples, Window, count, samples
from database.releases import Entry
from gateway.core.catalog import Catalog, Pipeline
from gateway.errors import Code, RefusedError, exception_location
from gateway.identity.principal import Principal, Role
from gateway.release_changes import ReleaseChanges, Wish
from gateway.release_watch.judgement import ALARMS, LOOKS, Judged, Verdict, judge
from gateway.telemetry.metrics import WatchedFigure
from gateway.telemetry.recorder import RequestContext
from pipelines.release_changes import Action
from pipelines.release_state import ReleaseState

log = structlog.get_logger("gateway")

ALL = "*"
"""Of the pipelines that are rolled back."""
PRINCIPAL = Principal("watch", "open", "watch", frozenset({Role.OPERATE}), None)
"""In whose name a release is rolled back."""
BLAMED = frozenset({
    Code.IMAGE_TOO_LARGE, Code.IMAGE_UNDECODABLE, Code.IMAGE_TOO_COSTLY, Code.IMAGE_SHAPE,
    Code.IMAGE_QUALITY, Code.IMAGES_MANY, Code.INTERNAL, Code.MODEL_OUTPUT, Code.UNAVAILABLE,
    Code.OUT_OF_MEMORY, Code.DEADLINE,
})  # fmt: skip
"""Refusals that may be the release's. Others are the caller's, or of too many requests."""
_SECONDS = 60.0
"""Between two looks at the rows."""
_SECOND = 1_000_000
_DAY = 86_400 * _SECOND
_SETTLED = 5 * _SECOND
"""After a promotion, until every gateway knows of it."""
_WATCHED = 14 * _DAY
"""After which a promotion is watched no more."""
_BEFORE = 7 * _DAY
"""Of the former release's answers."""
_BEFORE_ROWS = 5_000
_AFTER_ROWS = 2 * LOOKS[-1]
"""More than the last look needs, as some rows are left out."""
_MORE = 1.05
"""So many times the rows are there when they are read again."""
_TOLD = _DAY
"""How long a rollback by the watch is told of in the metrics."""


@dataclass(frozen=True, slots=True)
class Promotion:
    """The change by which the current release came to answer everybody."""

    pipeline: str
    release: str
    former: str
    at: int
    """Microseconds since 1970, as are the next two."""
    before_since: int
    before_until: int
    """When the release first answered any caller; the former one's answers are of before."""
    state: ReleaseState
    """As it is now."""

    @classmethod
    def newest(cls, entries: Sequence[Entry]) -> "Promotion | None":
        """Out of the history, the newest change first; None where the last one went back."""
        place = _changed(entries)
        if place is None or entries[place].action != Action.PROMOTE:
            return None
        release, former = entries[place].state.current, entries[place + 1].state.current
        until = entries[place].at
        for entry in entries[place + 1 :]:
            if entry.state.candidate != release:
                break
            if entry.state.share:
                until = entry.at
        since = until - _BEFORE
        earlier = _changed(entries[place + 1 :])
        if earlier is not None:
            since = max(since, entries[place + 1 + earlier].at)
        state = entries[0].state
        return cls(state.pipeline, release, former, entries[place].at, since, until, state)

    @property
    def key(self) -> tuple[str, str, int]:
        """Tells it from others."""
        return self.pipeline, self.release, self.at


@dataclass(frozen=True, slots=True)
class Watched:
    """What is known of a promotion by now."""

    promotion: Promotion
    rows: int
    """That were read."""
    figures: list[Judged]

    @property
    def worse(self) -> list[Judged]:
        """The figures that are."""
        return [each for each in self.figures if each.verdict is Verdict.WORSE]


class ReleaseWatch:
    """Judges promotions each minute."""

    def __init__(
        self,
        engine: Engine,
        releases: ReleaseChanges,
        catalog: Catalog,
        rolled_back: Collection[str],
    ) -> None:
        """Connects it.

        Args:
            engine: of the database.
            releases: change them.
            catalog: has the pipelines.
            rolled_back: names of the pipelines whose worse releases are rolled back, or `*`.
        """
        self._engine = reading(engine)
        self._releases = releases
        self._catalog = catalog
        self._rolled_back = rolled_back
        self._before: dict[tuple[str, str, int], Samples] = {}
        """The former release's samples of the promotions that are watched."""
        self._watched: dict[str, Watched] = {}
        self._undone: dict[str, str] = {}
        """By pipeline, the release that the watch undid lately."""
        self._problem = ""
        self._said: dict[str, str] = {}
        """By pipeline, what of its release was logged last."""
        self._unknown: set[str] = set()
        """Names in the settings that were said to be nobody's."""

    def rolls_back(self, pipeline: str) -> bool:
        """Whether a worse release of a pipeline is rolled back."""
        return ALL in self._rolled_back or pipeline in self._rolled_back

    def figures(self) -> Iterator[WatchedFigure]:
        """All that was judged."""
        for name, watched in list(self._watched.items()):
            for each in watched.figures:
                if each.verdict is not Verdict.NOT_ENOUGH:
                    yield WatchedFigure(
                        name,
                        watched.promotion.release,
                        each.figure,
                        each.current_answers,
                        each.verdict is Verdict.WORSE,
                    )

    def undone(self) -> list[tuple[str, str]]:
        """Pipeline and release of what the watch undid within a day."""
        return list(self._undone.items())

    async def look(self, name: str) -> Watched | None:
        """Judges the newest promotion of a pipeline; None where none is watched.

        Raises:
            RefusedError: there is no such pipeline.
        """
        pipeline = await self._catalog.find(name)
        return await asyncio.to_thread(self._judged, pipeline)

    async def watch(self) -> None:
        """Looks until it is cancelled."""
        while True:
            self._tell_unknown()
            for pipeline in self._catalog.pipelines():
                try:
                    await self._look(pipeline)
                except Exception as error:  # noqa: BLE001 - the watch must outlive any surprise
                    location = exception_location(error)
                    if self._problem != location:
                        failure = type(error).__name__
                        log.error("release watch", error=failure, where=location)  # noqa: TRY400
                    self._problem = location
            await asyncio.sleep(_SECONDS)

    def _tell_unknown(self) -> None:
        """Says once of each name in the settings that no pipeline has it."""
        served = self._catalog.names()
        unknown = {*self._rolled_back} - {ALL, *served, *self._unknown} if served else ()
        for name in sorted(unknown):
            log.warning("GATEWAY_WATCH_ROLLBACK: there is no such pipeline now", pipeline=name)
        self._unknown.update(unknown)

    async def _look(self, pipeline: Pipeline) -> None:
        watched = await asyncio.to_thread(self._judged, pipeline)
        if watched is None:
            self._watched.pop(pipeline.name, None)
            return
        self._watched[pipeline.name] = watched
        if not watched.worse:
            return
        promotion = watched.promotion
        possible = promotion.state.former == promotion.former
        if self._said.get(pipeline.name) != (said := evidence(watched)):
            log.warning("release", pipeline=pipeline.name, release=promotion.release, found=said)
        self._said[pipeline.name] = said
        if not (self.rolls_back(pipeline.name) and possible):
            return
        wish = Wish(
            Action.ROLLBACK,
            release=promotion.release,
            # Not what somebody changed meanwhile.
            revision=promotion.state.revision,
            evidence=said,
        )
        context = RequestContext(
            "watch", transport="command", route="releases", principal=PRINCIPAL
        )
        try:
            await self._releases.make(context, pipeline.name, wish)
        except RefusedError as refusal:
            # Another gateway, or a person, was faster; or the database is away.
            log.info("release not rolled back", pipeline=pipeline.name, reason=refusal.detail)

    def _judged(self, pipeline: Pipeline) -> Watched | None:
        with self._engine.connect() as connection:
            entries = history.entries(connection, pipeline.name, pipeline.spec.profile)
            self._note_undone(pipeline.name, entries)
            promotion = Promotion.newest(entries)
            moment = now()
            if promotion is None or moment - promotion.at > _WATCHED:
                return None
            before = self._before.get(promotion.key)
            if before is None:
                before = samples(
                    connection,
                    Window(
                        promotion.pipeline,
                        promotion.former,
                        promotion.before_since,
                        promotion.before_until,
                        BLAMED,
                        _BEFORE_ROWS,
                        newest=True,
                    ),
                )
                # Of no other promotion of the pipeline is there any more to be judged.
                self._before = {
                    key: each for key, each in self._before.items() if key[0] != pipeline.name
                } | {promotion.key: before}
            window = Window(
                promotion.pipeline,
                promotion.release,
                promotion.at + _SETTLED,
                moment,
                BLAMED,
                _AFTER_ROWS,
            )
            rows = count(connection, window)
            known = self._watched.get(pipeline.name)
            same = known is not None and known.promotion.key == promotion.key
            if known is not None and same and rows < known.rows * _MORE:
                return replace(known, promotion=promotion)
            after = samples(connection, window)
        return Watched(promotion, rows, judge(before, after))

    def _note_undone(self, pipeline: str, entries: Sequence[Entry]) -> None:
        self._undone.pop(pipeline, None)
        place = _changed(entries)
        if place is None:
            return
        entry = entries[place]
        by_watch = entry.action == Action.ROLLBACK and entry.by == PRINCIPAL.name
        if by_watch and now() - entry.at < _TOLD:
            self._undone[pipeline] = entries[place + 1].state.current


def evidence(watched: Watched) -> str:
    """What a rollback rests on, for the history."""
    said = "; ".join(each.sentence() for each in watched.worse)
    return f"worse than {watched.promotion.former} ({ALARMS:.0%} false alarms at most): {said}"


def _changed(entries: Sequence[Entry]) -> int | None:
    """The place of the newest change of the current release; None where there is none."""
    for place, (entry, older) in enumerate(itertools.pairwise(entries)):
        if entry.state.current != older.state.current:
            return place
    return None
