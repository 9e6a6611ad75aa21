"""Runs migrations within the transaction of who asks for them; see `database.engine.upgrade`."""

from alembic import context

from database.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
