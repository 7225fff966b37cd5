"""The cloud burst: clips that are out, the ledger, and what cameras say of the cloud."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from meerkat_hub.adapters.schema import UtcText

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Not as a batch: that would copy the table, and others refer to its rows.
    op.add_column("clips", sa.Column("cloud", sa.String(length=8), nullable=False, server_default=""))
    op.create_table(
        "burst_flights",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("at", UtcText, nullable=False),
        sa.Column("aloft", sa.Boolean(), nullable=False),
        sa.Column("sent", sa.Boolean(), nullable=False),
        sa.Column("returns", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["id"], ["clips.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "burst_ledger",
        sa.Column("seq", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("dollars", sa.Float(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("instance", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("refers", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_index(op.f("ix_burst_ledger_at"), "burst_ledger", ["at"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_burst_ledger_at"), table_name="burst_ledger")
    op.drop_table("burst_ledger")
    op.drop_table("burst_flights")
    op.drop_column("clips", "cloud")
