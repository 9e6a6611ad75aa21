"""A promotion of days ago in the database, and rows of what both releases answered."""

import json
from itertools import count

import uuid_utils
from sqlalchemy import insert

from database.clock import now
from database.tables import feedback, predictions, release_changes
from tests.unit.database.rows import row
from tests.unit.gateway.two_releases import NEW, OLD

DAY = 86_400_000_000
"""Microseconds."""
_POSITIONS = count(1)
_ENDS = {"previous": "0" * 64, "hash": "0" * 64}


class History:
    """Writes into a database as the commands and gateways of the last weeks did."""

    def __init__(self, engine):
        self._engine = engine
        self._revision = 0
        self.promoted_at = now() - 2 * DAY

    def changed(self, action, at, by="chief", **state):
        """Adds a change of the releases."""
        self._revision += 1
        facts = {"current": OLD, "former": None, "candidate": None, "share": 0, "shadow": 0} | state
        with self._engine.begin() as connection:
            connection.execute(
                insert(release_changes).values(
                    pipeline="oral_cancer",
                    profile="default",
                    revision=self._revision,
                    at=at,
                    action=action,
                    release=facts["candidate"] or facts["current"],
                    by=by,
                    **facts,
                )
            )

    def promoted(self, *, split_before=0):
        """The new release was staged and promoted; callers got it a while before, if ever."""
        at = self.promoted_at
        self.changed("begin", at - 20 * DAY)
        self.changed("stage", at - 3 * DAY, candidate=NEW)
        if split_before:
            self.changed("split", at - split_before, candidate=NEW, share=1000)
        self.changed("promote", at, current=NEW, former=OLD)

    def answered(self, release, images, *, at, **said):
        """Adds rows of images that a release answered, a second after the other; their ids."""
        rows = [_row(release, at + index * 1_000_000, **said) for index in range(images)]
        self._write(rows)
        return [each["id"] for each in rows]

    def answered_together(self, release, requests, images, *, at, **said):
        """Adds rows of batches, ten seconds after each other."""
        self._write(
            _row(release, at + batch * 10_000_000, request_id=f"{at}-{batch}", **said)
            for batch in range(requests)
            for _ in range(images)
        )

    def said(self, labels, at):
        """Adds feedback: the label of each prediction, an instant after the other."""
        entries = []
        for index, (prediction, label) in enumerate(labels):
            entry = _row(None, at + index, event="feedback", route="feedback")
            entry["result"] = json.dumps({"label": label})
            entries.append((entry, prediction))
        self._write(entry for entry, _ in entries)
        with self._engine.begin() as connection:
            connection.execute(
                insert(feedback),
                [
                    {"id": entry["id"], "prediction_id": prediction, "at": entry["at"]}
                    for entry, prediction in entries
                ],
            )

    def _write(self, rows):
        with self._engine.begin() as connection:
            connection.execute(insert(predictions), list(rows))


def _row(release, at, *, refusal=None, seconds=0.3, level="low", typical=True, **columns):
    result = {
        "prediction": "cancer",
        "uncertainty": {"level": level},
        "input": {"typical": typical},
    }
    return row(
        at=at,
        release=None if refusal else release,
        refusal=refusal,
        result=None if refusal else json.dumps(result),
        stages=json.dumps({"infer": seconds}),
        chain="earlier",
        position=next(_POSITIONS),
        **{"request_id": uuid_utils.uuid4().hex, **columns, **_ENDS},
    )
