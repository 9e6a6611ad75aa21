"""Removes old rows of the audit log: whole segments, each ending in a signed checkpoint."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, Engine, delete, func, insert, select

from database.chain import Receipt, Statement, sign
from database.clock import now
from database.engine import reading
from database.feedback import delete_orphans
from database.tables import checkpoints, predictions

SEGMENT_ROWS = 5000
"""Of one transaction, where checkpoints are near enough: gateways that write wait for it."""


def retain(engine: Engine, key: Ed25519PrivateKey, *, before: int) -> int:
    """Removes rows older than `before` (microseconds since 1970), and says so with a signature.

    Of each chain those go that end in a checkpoint and are all old. What is left verifies: its
    first row follows the hash that the signed statement has. Of the checkpoints that are no longer
    needed the last one stays: it tells how young the removed rows may be. Returns how many rows
    were removed.
    """
    with reading(engine).connect() as connection:
        names = connection.scalars(select(predictions.c.chain).distinct()).all()
    total = 0
    for name in names:
        removed = 1
        while removed:
            with engine.begin() as connection:
                removed = _remove_segment(connection, key, name, before)
            total += removed
    with engine.begin() as connection:
        # Comments do not outlast the feedback that they are of.
        delete_orphans(connection)
    return total


def _remove_segment(connection: Connection, key: Ed25519PrivateKey, chain: str, before: int) -> int:
    own = predictions.c.chain == chain
    first = connection.scalar(select(func.min(predictions.c.position)).where(own))
    if first is None:
        return 0
    kept = connection.scalar(
        select(func.min(predictions.c.position)).where(own, predictions.c.at >= before)
    )
    position = checkpoints.c.position
    heads = select(checkpoints).where(
        checkpoints.c.chain == chain, checkpoints.c.kind == Statement.HEAD, position >= first
    )
    if kept is not None:
        heads = heads.where(position < kept)
    near = heads.where(position < first + SEGMENT_ROWS).order_by(position.desc()).limit(1)
    far = heads.order_by(position).limit(1)
    end = connection.execute(near).first() or connection.execute(far).first()
    if end is None:
        return 0
    removed = connection.execute(
        delete(predictions).where(own, predictions.c.position <= end.position)
    )
    connection.execute(
        delete(checkpoints).where(checkpoints.c.chain == chain, position < end.position)
    )
    signed = sign(key, Statement.RETENTION, Receipt(chain, end.position, end.head), now())
    kind = signed.pop("statement")
    connection.execute(insert(checkpoints), {**signed, "kind": kind})
    return removed.rowcount
