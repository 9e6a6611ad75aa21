"""Usage by the hour, and how far each chain's rows are rolled up."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Makes the tables."""
    op.create_table(
        "usage_hours",
        sa.Column("hour", sa.BigInteger, nullable=False),
        sa.Column("caller", sa.String(128), nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("pipeline", sa.String(64), nullable=False),
        sa.Column("release", sa.String(128), nullable=False),
        sa.Column("format", sa.String(16), nullable=False),
        sa.Column("outcome", sa.String(64), nullable=False),
        sa.Column("level", sa.String(16), nullable=False),
        sa.Column("images", sa.BigInteger, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("cpu_seconds", sa.Double, nullable=False),
        sa.Column("gpu_seconds", sa.Double, nullable=False),
        sa.Column("estimated_seconds", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint(
            "hour",
            "caller",
            "name",
            "pipeline",
            "release",
            "format",
            "outcome",
            "level",
            name="pk_usage_hours",
        ),
    )
    op.create_index("ix_usage_hours_caller_hour", "usage_hours", ["caller", "hour"])
    op.create_table(
        "usage_cursors",
        sa.Column("chain", sa.String(96), nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("chain", name="pk_usage_cursors"),
    )
