"""Rows of keys that stand for client certificates."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Adds the column."""
    op.add_column("api_keys", sa.Column("certificate", sa.String(255)))
