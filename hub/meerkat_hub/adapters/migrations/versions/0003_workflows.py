"""Workflows that were asked for at run time, and events that a workflow decided: they have no recording."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from meerkat_hub.adapters.schema import UtcText

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "workflows",
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column("at", UtcText, nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    with op.batch_alter_table("events") as events:
        events.alter_column("recording", existing_type=sa.String(length=36), nullable=True)
        events.add_column(sa.Column("workflow", sa.String(length=63), nullable=True))
    op.create_index(
        "events_of_workflow",
        "events",
        ["workflow", "start_time"],
        unique=False,
        sqlite_where=sa.text("workflow IS NOT NULL"),
        postgresql_where=sa.text("workflow IS NOT NULL"),
    )


def downgrade() -> None:
    op.execute("DELETE FROM events WHERE recording IS NULL")
    op.drop_index("events_of_workflow", table_name="events")
    with op.batch_alter_table("events") as events:
        events.drop_column("workflow")
        events.alter_column("recording", existing_type=sa.String(length=36), nullable=False)
    op.drop_table("workflows")
