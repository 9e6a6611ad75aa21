"""The hash chain that one start of a gateway writes: its beginning, its head, and what follows."""

import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, insert, select, update

from database.chain import Receipt, genesis_hash, row_hash
from database.clock import now
from database.tables import chains, checkpoints, predictions

Row = Mapping[str, Any]
"""Of `predictions`, without its place in a chain."""
_BALLAST_BYTES = 65536
"""More than a row and its indexes take: where so much can be written, rows can."""


class OwnChain:
    """The chain of a gateway's one start. Its thread alone writes it."""

    def __init__(self, gateway: str) -> None:
        """Names the chain; it is begun in the database when it is first found there.

        Args:
            gateway: the gateway's name, with which the chain's begins.
        """
        self._gateway = gateway
        # Of this start alone: by the time and 48 random bits.
        self.name = f"{gateway}-{time.time_ns() // 10**6:012x}{secrets.token_hex(6)}"
        self.end = Receipt(self.name, 0, "")
        """Place and hash of the newest row; at position 0 the chain's beginning."""
        self._begun = False

    @property
    def receipt(self) -> Receipt | None:
        """The newest row's; None before the first."""
        end = self.end
        return end if end.position else None

    def find(self, connection: Connection) -> None:
        """Looks where the chain stands: a commit may have been done though its answer was lost."""
        if not self._begun:
            self.end = Receipt(self.name, 0, self._genesis(connection))
        last = _last(connection, self.name)
        if last is not None:
            self.end = last

    def found(self) -> None:
        """The transaction in which it was found is committed: its beginning is in the database."""
        self._begun = True

    def following(self, rows: Sequence[Row], after: Receipt) -> list[dict[str, Any]]:
        """The rows as they follow a place, with hashes."""
        position, head = after.position, after.head
        made: list[dict[str, Any]] = []
        for row in rows:
            position += 1
            full = {**row, "chain": self.name, "position": position, "previous": head}
            head = full["hash"] = row_hash(full)
            made.append(full)
        return made

    def written_after(self, connection: Connection, position: int) -> dict[str, Receipt]:
        """By their ids, the receipts of rows beyond a position."""
        columns = predictions.c.id, predictions.c.position, predictions.c.hash
        own = predictions.c.chain == self.name
        rows = connection.execute(select(*columns).where(own, predictions.c.position > position))
        return {row.id: Receipt(self.name, row.position, row.hash) for row in rows}

    def write_ballast(self, connection: Connection, *, present: bool) -> None:
        """Writes as much as a row needs beside the chain's beginning, or takes it away."""
        content = secrets.token_hex(_BALLAST_BYTES // 2) if present else None
        own = chains.c.chain == self.name
        connection.execute(update(chains).where(own).values(ballast=content))

    def _genesis(self, connection: Connection) -> str:
        """The hash of the chain's beginning, which is written where it is not there."""
        found: str | None = connection.scalar(
            select(chains.c.genesis).where(chains.c.chain == self.name)
        )
        if found is not None:
            return found
        before = connection.execute(select(chains).order_by(chains.c.at.desc()).limit(1)).first()
        row: dict[str, Any] = {
            "chain": self.name,
            "gateway": self._gateway,
            "at": now(),
            "previous_chain": None,
            "previous_position": None,
            "previous_head": None,
        }
        if before is not None:
            last = _last(connection, before.chain) or Receipt(before.chain, 0, before.genesis)
            row |= {
                "previous_chain": before.chain,
                "previous_position": last.position,
                "previous_head": last.head,
            }
        genesis = row["genesis"] = genesis_hash(row)
        connection.execute(insert(chains), row)
        return genesis


def _last(connection: Connection, chain: str) -> Receipt | None:
    """Place and hash of a chain's newest row, also where retention removed it."""
    for table, head in ((predictions, predictions.c.hash), (checkpoints, checkpoints.c.head)):
        statement = (
            select(table.c.position, head)
            .where(table.c.chain == chain)
            .order_by(table.c.position.desc())
            .limit(1)
        )
        if (found := connection.execute(statement).first()) is not None:
            return Receipt(chain, found[0], found[1])
    return None
