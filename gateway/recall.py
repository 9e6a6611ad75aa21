"""Recall: the predictions of one release, and what is answered now where their image was kept."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, Engine, Row, func, select

from database.engine import reading
from database.tables import predictions
from gateway.core.admission import Admission
from gateway.core.catalog import Catalog
from gateway.core.request import Deadline, Image, RequestParameters
from gateway.dataplane import Dataplane, InferenceRequest
from gateway.errors import RefusedError
from gateway.identity.principal import Principal, Role
from gateway.kept_images.encryption import UnreadableImageError
from gateway.kept_images.store import StoreError
from gateway.results.task_handlers import handler_of
from gateway.telemetry.recorder import RequestContext
from pipelines.protocol import NAMED_RELEASE, Parameter

PRINCIPAL = Principal("recall", "open", "recall", frozenset({Role.PREDICT}), None)
"""In whose name images are asked again: their rows are told from those of callers."""
TRANSPORT: Literal["command"] = "command"
_PAGE = 500
_COLUMNS = (
    predictions.c.id,
    predictions.c.at,
    predictions.c.tenant,
    predictions.c.request_id,
    predictions.c.pipeline,
    predictions.c.parameters,
    predictions.c.result,
    predictions.c.kept,
)

KeptImage = Callable[[str], Awaitable[bytes | None]]
"""Gives the image of a prediction's id, where it is kept."""
Ask = Callable[[str, Mapping[str, str], bytes], Awaitable[tuple[str, Any]]]
"""Asks a pipeline about an image with parameters; gives the release and the decision."""


@dataclass(frozen=True, slots=True)
class Recalled:
    """One prediction of the release."""

    id: str
    at: int
    """Microseconds since 1970."""
    tenant: str
    request_id: str
    pipeline: str
    decision: Any
    """A class, or of a detector how many objects of each class."""
    kept: bool = False
    """Whether its image is kept."""
    now: Any = None
    """The decision now; None where it was not asked again."""
    release_now: str | None = None
    problem: str | None = None
    """Why its image, though kept, has no decision now."""

    @property
    def changed(self) -> bool:
        """Whether the decision is another one now."""
        return self.now is not None and self.now != self.decision

    def as_json(self) -> dict[str, Any]:
        """The fields, and whether the decision changed; null where it was not asked again."""
        return {
            "prediction_id": self.id,
            "at": self.at,
            "tenant": self.tenant,
            "request_id": self.request_id,
            "pipeline": self.pipeline,
            "decision": self.decision,
            "kept": self.kept,
            "decision_now": self.now,
            "release_now": self.release_now,
            "changed": None if self.now is None else self.changed,
            "problem": self.problem,
        }


@dataclass(frozen=True, slots=True)
class Asking:
    """Asks a pipeline again; each question is a row of the audit log."""

    dataplane: Dataplane
    catalog: Catalog
    admission: Admission
    seconds: float
    """How long one question may take."""

    async def __call__(
        self, pipeline: str, parameters: Mapping[str, str], image: bytes
    ) -> tuple[str, Any]:
        """The release that answers now, and its decision.

        Raises:
            RefusedError: there is none.
        """
        found = await self.catalog.find(pipeline)
        context = RequestContext(
            "recall", transport=TRANSPORT, route="recall", pipeline=pipeline, principal=PRINCIPAL
        )
        with self.admission.enter(PRINCIPAL.id, pipeline, len(image)) as holding:
            holding.take_place()
            (outcome,) = await self.dataplane.infer(
                InferenceRequest(
                    context,
                    holding,
                    found,
                    [Image(image, "image")],
                    RequestParameters.read(_deciding(parameters).items(), found.spec),
                    Deadline.after(self.seconds),
                )
            )
        result = outcome.answered()
        record = handler_of(result.pipeline).record(result)
        return result.pipeline.release, decision_of(record)


async def count(engine: Engine, release: str) -> int:
    """How many answered predictions of a release there are.

    Raises:
        SQLAlchemyError: the database cannot be read.
    """

    def counted() -> int:
        with reading(engine).connect() as connection:
            found = connection.scalar(
                select(func.count()).select_from(predictions).where(*_of(release))
            )
        return found or 0

    return await asyncio.to_thread(counted)


async def recall(
    engine: Engine, release: str, image_of: KeptImage, ask: Ask
) -> AsyncIterator[Recalled]:
    """Gives each answered prediction of a release, oldest first; a page is in memory at a time.

    Args:
        engine: of the database.
        release: the id that answers say.
        image_of: gives images that are kept.
        ask: asks about them.

    Raises:
        SQLAlchemyError: the database cannot be read.
    """
    last = ""
    while page := await asyncio.to_thread(_page, engine, release, last):
        for row in page:
            yield await _again(row, image_of, ask)
        last = page[-1].id


def decision_of(record: Mapping[str, Any]) -> Any:  # noqa: ANN401 - by the pipeline's task
    """What a result decides: its class, or how many objects of each class were found."""
    if "prediction" in record:
        return record["prediction"]
    return dict(sorted(Counter(found["class"] for found in record["predictions"]).items()))


async def _again(row: Row[Any], image_of: KeptImage, ask: Ask) -> Recalled:
    known = (row.id, row.at, row.tenant, row.request_id, row.pipeline)
    before = decision_of(json.loads(row.result))
    try:
        image = await image_of(row.id) if row.kept else None
        if image is None:
            return Recalled(*known, before)
        release, now = await ask(row.pipeline, json.loads(row.parameters), image)
    except RefusedError as refusal:
        problem = refusal.message()
    except (StoreError, UnreadableImageError) as error:
        problem = f"image: {error}"
    else:
        return Recalled(*known, before, kept=True, now=now, release_now=release)
    return Recalled(*known, before, kept=True, problem=problem)


def _deciding(parameters: Mapping[str, str]) -> dict[str, str]:
    """The parameters without what decides nothing and costs much, `explain`.

    Also without a release that was named: a recall asks the one that serves.
    """
    left_out = {Parameter.EXPLAIN, NAMED_RELEASE}
    return {name: value for name, value in parameters.items() if name not in left_out}


def _page(engine: Engine, release: str, after: str) -> list[Row[Any]]:
    statement = (
        select(*_COLUMNS)
        .where(*_of(release), predictions.c.id > after)
        .order_by(predictions.c.id)
        .limit(_PAGE)
    )
    with reading(engine).connect() as connection:
        return list(connection.execute(statement))


def _of(release: str) -> tuple[ColumnElement[bool], ...]:
    return (
        predictions.c.release == release,
        predictions.c.result.is_not(None),
        # Those that recalls asked are nobody's.
        predictions.c.transport != TRANSPORT,
    )
