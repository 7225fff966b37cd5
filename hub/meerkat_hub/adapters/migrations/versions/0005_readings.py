"""What meters read: their pictures' fate, readings, and what was set at run time."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from meerkat_hub.adapters.schema import UtcText

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def _of_a_picture() -> tuple[sa.Column[Any], ...]:
    """What becomes of it."""
    return (
        sa.Column("state", sa.String(length=8), nullable=False, server_default="kept"),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("reason", sa.Text(), nullable=False, server_default=""),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("seconds", sa.Float(), nullable=False, server_default="0"),
        sa.Column("worker", sa.String(length=63), nullable=False, server_default=""),
        sa.Column("alignment", sa.Text(), nullable=True),
        sa.Column("example", sa.Text(), nullable=True),
    )


def upgrade() -> None:
    with op.batch_alter_table("meter_pictures") as pictures:
        for column in _of_a_picture():
            pictures.add_column(column)
    op.create_index(
        "pictures_waiting",
        "meter_pictures",
        ["received_at"],
        unique=False,
        sqlite_where=sa.text("state = 'waiting'"),
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_table(
        "readings",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("counter", sa.String(length=63), nullable=False),
        sa.Column("device", sa.String(length=63), nullable=False),
        sa.Column("meter", sa.String(length=63), nullable=False),
        sa.Column("at", UtcText, nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("source", sa.String(length=8), nullable=False),
        sa.Column("verdict", sa.String(length=12), nullable=False),
        sa.Column("value", sa.Float(), nullable=True),
        sa.Column("total", sa.Float(), nullable=True),
        sa.Column("flow", sa.Float(), nullable=True),
        sa.Column("unit", sa.String(length=16), nullable=False),
        sa.Column("confidence", sa.Float(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("record", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", "counter"),
    )
    op.create_index("readings_of_meter", "readings", ["device", "meter", "counter", "at", "id"], unique=False)
    op.create_table(
        "meter_facts",
        sa.Column("device", sa.String(length=63), nullable=False),
        sa.Column("meter", sa.String(length=63), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("at", UtcText, nullable=False),
        sa.PrimaryKeyConstraint("device", "meter", "kind"),
    )


def downgrade() -> None:
    for table in ("meter_facts", "readings"):
        op.drop_table(table)
    op.drop_index("pictures_waiting", table_name="meter_pictures")
    with op.batch_alter_table("meter_pictures") as pictures:
        for column in reversed(_of_a_picture()):
            pictures.drop_column(column.name)
