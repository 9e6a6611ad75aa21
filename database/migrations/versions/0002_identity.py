"""The API keys, and the count of their changes."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Makes the tables, and the one row of the count."""
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(16), nullable=False),
        sa.Column("line", sa.String(16), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("roles", sa.Text, nullable=False),
        sa.Column("pipelines", sa.Text),
        sa.Column("rate", sa.String(32)),
        sa.Column("budget", sa.String(32)),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("legacy", sa.Boolean, nullable=False),
        sa.Column("pepper", sa.String(16), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("revoked_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.UniqueConstraint("digest", name="uq_api_keys_digest"),
    )
    changes = op.create_table(
        "api_key_changes",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_api_key_changes"),
    )
    op.bulk_insert(changes, [{"id": 1, "count": 0}])
