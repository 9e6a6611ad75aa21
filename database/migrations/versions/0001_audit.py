"""The audit log: predictions in hash chains, and signed checkpoints."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Makes the tables."""
    op.create_table(
        "chains",
        sa.Column("chain", sa.String(96), nullable=False),
        sa.Column("gateway", sa.String(64), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("previous_chain", sa.String(96)),
        sa.Column("previous_position", sa.BigInteger),
        sa.Column("previous_head", sa.String(64)),
        sa.Column("genesis", sa.String(64), nullable=False),
        sa.Column("ballast", sa.Text),
        sa.PrimaryKeyConstraint("chain", name="pk_chains"),
    )
    op.create_table(
        "predictions",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("chain", sa.String(96), nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("event", sa.String(16), nullable=False),
        sa.Column("principal_id", sa.String(128), nullable=False),
        sa.Column("principal_kind", sa.String(16), nullable=False),
        sa.Column("credential", sa.String(128), nullable=False),
        sa.Column("tenant", sa.String(128), nullable=False),
        sa.Column("request_id", sa.String(64), nullable=False),
        sa.Column("transport", sa.String(8), nullable=False),
        sa.Column("route", sa.String(32), nullable=False),
        sa.Column("pipeline", sa.String(64), nullable=False),
        sa.Column("release", sa.String(128)),
        sa.Column("release_sha256", sa.String(64)),
        sa.Column("input_digest", sa.String(64)),
        sa.Column("input_bytes", sa.BigInteger),
        sa.Column("input_format", sa.String(16)),
        sa.Column("parameters", sa.Text, nullable=False),
        sa.Column("result", sa.Text),
        sa.Column("refusal", sa.String(64)),
        sa.Column("stages", sa.Text, nullable=False),
        sa.Column("compute", sa.Text),
        sa.Column("compute_seconds", sa.Double),
        sa.Column("kept", sa.Boolean, nullable=False),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_predictions"),
        sa.UniqueConstraint("chain", "position", name="uq_predictions_chain_position"),
    )
    op.create_index("ix_predictions_at", "predictions", ["at"])
    op.create_index("ix_predictions_principal_id_id", "predictions", ["principal_id", "id"])
    op.create_table(
        "checkpoints",
        sa.Column("chain", sa.String(96), nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("head", sa.String(64), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("key", sa.String(16), nullable=False),
        sa.Column("signature", sa.String(128), nullable=False),
        sa.PrimaryKeyConstraint("chain", "position", "kind", name="pk_checkpoints"),
    )
