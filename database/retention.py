"""Removes old rows of the audit log: whole segments, each ending in a signed checkpoint."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, Engine, delete, func, insert, select

from database.chain import Receipt, Statement, sign
from database.feedback import delete_orphans
from database.tables import checkpoints, predictions
from database.writer import now


def retain(engine: Engine, key: Ed25519PrivateKey, *, before: int) -> int:
    """Removes rows older than `before` (microseconds since 1970), and says so with a signature.

    Of each chain those go that end in a checkpoint and are all old. What is left verifies: its
    first row follows the hash that the signed statement has. Returns the number of removed rows.
    """
    with engine.begin() as connection:
        names = connection.scalars(select(predictions.c.chain).distinct()).all()
        removed = sum(_retain_chain(connection, key, name, before) for name in names)
        # Comments do not outlast the feedback that they are of.
        delete_orphans(connection)
        return removed


def _retain_chain(connection: Connection, key: Ed25519PrivateKey, chain: str, before: int) -> int:
    own = predictions.c.chain == chain
    first_kept = connection.scalar(
        select(func.min(predictions.c.position)).where(own, predictions.c.at >= before)
    )
    statement = select(checkpoints).where(
        checkpoints.c.chain == chain, checkpoints.c.kind == Statement.HEAD
    )
    if first_kept is not None:
        statement = statement.where(checkpoints.c.position < first_kept)
    end = connection.execute(statement.order_by(checkpoints.c.position.desc()).limit(1)).first()
    if end is None:
        return 0
    removed = connection.execute(
        delete(predictions).where(own, predictions.c.position <= end.position)
    )
    if removed.rowcount == 0:
        return 0
    receipt = Receipt(chain, end.position, end.head)
    signed = sign(key, Statement.RETENTION, receipt, now())
    kind = signed.pop("statement")
    connection.execute(insert(checkpoints), {**signed, "kind": kind})
    return removed.rowcount
