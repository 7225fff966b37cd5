"""Run by Alembic with a connection that `database.open_database` hands over."""

from __future__ import annotations

from alembic import context

from meerkat_hub.adapters.schema import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
