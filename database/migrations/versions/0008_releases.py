"""The changes of the releases that are served."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Makes the table."""
    op.create_table(
        "release_changes",
        sa.Column("pipeline", sa.String(64), nullable=False),
        sa.Column("profile", sa.String(64), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("release", sa.String(128), nullable=False),
        sa.Column("current", sa.String(128), nullable=False),
        sa.Column("former", sa.String(128)),
        sa.Column("candidate", sa.String(128)),
        sa.Column("share", sa.Integer, nullable=False),
        sa.Column("by", sa.String(128), nullable=False),
        sa.Column("evidence", sa.Text),
        sa.PrimaryKeyConstraint("pipeline", "profile", "revision", name="pk_release_changes"),
    )
