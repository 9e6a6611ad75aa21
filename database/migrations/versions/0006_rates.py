"""How many images callers asked about lately, counted by all gateways."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Makes the table."""
    op.create_table(
        "rate_slots",
        sa.Column("caller", sa.String(128), nullable=False),
        sa.Column("seconds", sa.Integer, nullable=False),
        sa.Column("ends_at", sa.BigInteger, nullable=False),
        sa.Column("images", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("caller", "seconds", "ends_at", name="pk_rate_slots"),
    )
