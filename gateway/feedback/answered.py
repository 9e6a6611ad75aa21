"""The answered predictions that feedback and kept images are about: who may see which."""

import asyncio
import re
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Row, select

from database.engine import reading
from database.tables import predictions
from gateway.audit.rows import Event
from gateway.errors import Code, RefusedError
from gateway.identity.principal import Role
from gateway.telemetry.recorder import RequestContext

T = TypeVar("T")
Found = Row[Any]
ID = re.compile(r"[0-9a-f-]{36}")
"""Databases do not take every text."""


class AnsweredPredictions:
    """Finds predictions. Callers of one name see each other's."""

    def __init__(self, engine: Engine) -> None:
        """Reads from the audit log's database."""
        self._engine = engine

    async def find(
        self, context: RequestContext, prediction_id: str, others: Role | None = None
    ) -> Found:
        """The row of an answered prediction of the caller's own; notes its pipeline.

        Args:
            context: of the caller's request.
            prediction_id: as the answer has it.
            others: a role that sees other callers' predictions, too.

        Raises:
            RefusedError: `forbidden` without the role, or for another pipeline;
                `prediction_unknown`, also where it is another one's: who may not see a prediction
                does not learn that it exists.
        """
        principal = context.principal
        principal.require(Role.FEEDBACK)
        statement = select(predictions).where(
            predictions.c.id == prediction_id,
            predictions.c.event == Event.PREDICTION,
            predictions.c.refusal.is_(None),
        )
        if others is None or not principal.may(others):
            statement = statement.where(predictions.c.tenant == principal.name)
        known = ID.fullmatch(prediction_id)
        row = await self.read(lambda each: each.execute(statement).first()) if known else None
        if row is None:
            raise RefusedError(
                Code.PREDICTION_UNKNOWN,
                "prediction: you have none of this id that was answered. Send the answer's "
                "`prediction_id` with the key that asked.",
            )
        principal.require_covered(row.pipeline)
        context.pipeline = row.pipeline
        return row

    async def read(self, function: Callable[[Connection], T]) -> T:
        """Calls a function of a connection that reads, in a thread, in one transaction."""

        def read() -> T:
            with reading(self._engine).connect() as connection, connection.begin():
                return function(connection)

        return await asyncio.to_thread(read)
