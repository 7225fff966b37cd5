"""People who can be recognised."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from meerkat_hub.adapters.schema import UtcText

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "people",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("added_at", UtcText, nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "face_samples",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("person", sa.String(length=80), nullable=False),
        sa.Column("model_sha256", sa.String(length=64), nullable=False),
        sa.Column("model_name", sa.String(length=100), nullable=False),
        sa.Column("embedding", sa.LargeBinary(), nullable=False),
        sa.Column("quality", sa.Float(), nullable=False),
        sa.Column("added_at", UtcText, nullable=False),
        sa.Column("picture", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["person"], ["people.name"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_face_samples_person", "face_samples", ["person"], unique=False)


def downgrade() -> None:
    op.drop_table("face_samples")
    op.drop_table("people")
