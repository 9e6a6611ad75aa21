"""Feedback to predictions, comments that can be deleted, and kept images."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Makes the tables."""
    op.create_table(
        "feedback",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("prediction_id", sa.String(36), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_feedback"),
    )
    op.create_index("ix_feedback_prediction_id", "feedback", ["prediction_id"])
    op.create_table(
        "feedback_comments",
        sa.Column("feedback_id", sa.String(36), nullable=False),
        sa.Column("salt", sa.LargeBinary, nullable=False),
        sa.Column("reader", sa.Text),
        sa.Column("comment", sa.Text),
        sa.PrimaryKeyConstraint("feedback_id", name="pk_feedback_comments"),
        sa.ForeignKeyConstraint(
            ["feedback_id"], ["feedback.id"], name="fk_feedback_comments_feedback_id_feedback"
        ),
    )
    op.create_table(
        "kept_images",
        sa.Column("prediction_id", sa.String(36), nullable=False),
        sa.Column("pipeline", sa.String(64), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("key_id", sa.String(16), nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary),
        sa.Column("deleted_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("prediction_id", name="pk_kept_images"),
    )
    op.create_index("ix_kept_images_expires_at", "kept_images", ["expires_at"])
