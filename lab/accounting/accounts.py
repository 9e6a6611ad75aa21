"""Holds the rows of a database against the answers that callers saw."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select

from database.engine import open_engine, reading
from database.tables import predictions
from lab.accounting.callers import Answer, same


@dataclass(frozen=True)
class Account:
    """What was found; all but the first three must be none."""

    answers: int
    """That callers saw, each counted once for its prediction."""
    rows: int
    """Of predictions with a result, but for the references."""
    beyond: int
    """Rows with a result that no caller saw: the answer was lost on its way."""
    missing: int
    """Answers without a row."""
    other_receipts: int
    """Answers whose receipt is not the place and hash of their row."""
    wrong: int
    """Rows whose result is not the reference of their photo."""
    twice: int
    """Idempotency keys with more than one row that has a result."""
    lost_keys: int
    """Rows with a result whose key was never answered, though its caller asked until it was."""

    @property
    def balances(self) -> bool:
        """Whether every answer has its row, and every row is right."""
        return not any((self.missing, self.other_receipts, self.wrong, self.twice, self.lost_keys))


def account(
    url: str, answers: Sequence[Answer], references: Mapping[str, Sequence[float]], given_up: int
) -> Account:
    """Reads all rows, and compares.

    Args:
        url: of the database.
        answers: that callers saw.
        references: of each photo the probabilities, by the row of the reference answer.
        given_up: callers with a key that were not answered at last.
    """
    seen = {answer.id: answer for answer in answers}
    engine = open_engine(url)
    expected: dict[str, Sequence[float]] = {}
    found: set[str] = set()
    keys: defaultdict[str, list[str]] = defaultdict(list)
    rows = wrong = receipts = 0
    with reading(engine).connect() as connection:
        columns = (
            predictions.c.id,
            predictions.c.chain,
            predictions.c.position,
            predictions.c.hash,
            predictions.c.request_id,
            predictions.c.input_digest,
            predictions.c.result,
        )
        made = connection.execute(
            select(predictions.c.id, predictions.c.input_digest).where(
                predictions.c.id.in_(references)
            )
        )
        expected = {digest: references[name] for name, digest in made}
        with_result = select(*columns).where(predictions.c.result.is_not(None))
        for row in connection.execution_options(yield_per=1000).execute(with_result):
            rows += 1
            found.add(row.id)
            result = json.loads(row.result)
            wrong += not same(list(result["probabilities"].values()), expected[row.input_digest])
            if (answer := seen.get(row.id)) is not None:
                receipts += answer.receipt != (row.chain, row.position, row.hash)
            if row.request_id.startswith("key-"):
                keys[row.request_id].append(row.id)
    engine.dispose()
    lost = sum(not any(name in seen for name in names) for names in keys.values())
    return Account(
        answers=len(seen),
        rows=rows - len(references),
        beyond=len(found - set(seen) - set(references)),
        missing=len(set(seen) - found),
        other_receipts=receipts,
        wrong=wrong,
        twice=sum(len(names) > 1 for names in keys.values()),
        lost_keys=max(0, lost - given_up),
    )
