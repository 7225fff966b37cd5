"""What a meter's picture is worth, as its device measured it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("meter_pictures") as pictures:
        pictures.add_column(sa.Column("condition", sa.Text(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("meter_pictures") as pictures:
        pictures.drop_column("condition")
