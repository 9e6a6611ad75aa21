"""Copies of images for candidates: their share, and what was compared."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Adds the column, and makes the table."""
    # The default is that of the rows that are there, and of a gateway of the version before.
    shadow = sa.Column("shadow", sa.Integer, nullable=False, server_default="0")
    op.add_column("release_changes", shadow)
    op.create_table(
        "shadow_counts",
        sa.Column("pipeline", sa.String(64), nullable=False),
        sa.Column("given", sa.String(128), nullable=False),
        sa.Column("candidate", sa.String(128), nullable=False),
        sa.Column("figure", sa.String(16), nullable=False),
        sa.Column("bucket", sa.String(16), nullable=False),
        sa.Column("total", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint(
            "pipeline", "given", "candidate", "figure", "bucket", name="pk_shadow_counts"
        ),
    )
