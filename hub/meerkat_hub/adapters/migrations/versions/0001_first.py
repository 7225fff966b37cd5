"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from meerkat_hub.adapters.schema import UtcText

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "announcements",
        sa.Column("seq", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("topic", sa.String(length=255), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("retain", sa.Boolean(), nullable=False),
        sa.Column("content_type", sa.String(length=100), nullable=False),
        sa.Column("event", sa.String(length=36), nullable=True),
        sa.PrimaryKeyConstraint("seq"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "devices",
        sa.Column("id", sa.String(length=63), nullable=False),
        sa.Column("info", sa.Text(), nullable=False),
        sa.Column("seen_at", UtcText, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "facts",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("value", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "meter_pictures",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("device", sa.String(length=63), nullable=False),
        sa.Column("meter", sa.String(length=63), nullable=False),
        sa.Column("captured_at", UtcText, nullable=False),
        sa.Column("received_at", UtcText, nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("trigger", sa.String(length=16), nullable=False),
        sa.Column("file", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_meter_pictures_received_at", "meter_pictures", ["received_at"], unique=False)
    op.create_index(
        "pictures_of_meter",
        "meter_pictures",
        ["device", "meter", "captured_at"],
        unique=False,
        sqlite_where=sa.text("file = 1"),
        postgresql_where=sa.text("file"),
    )
    op.create_index(
        "pictures_with_file",
        "meter_pictures",
        ["received_at", "size"],
        unique=False,
        sqlite_where=sa.text("file = 1"),
        postgresql_where=sa.text("file"),
    )
    op.create_table(
        "recordings",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("device", sa.String(length=63), nullable=False),
        sa.Column("camera", sa.String(length=63), nullable=False),
        sa.Column("started_at", UtcText, nullable=False),
        sa.Column("closed", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "recordings_open",
        "recordings",
        ["id"],
        unique=False,
        sqlite_where=sa.text("closed = 0"),
        postgresql_where=sa.text("not closed"),
    )
    op.create_table(
        "refusals",
        sa.Column("seq", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("at", UtcText, nullable=False),
        sa.Column("device", sa.String(length=63), nullable=False),
        sa.Column("media", sa.String(length=36), nullable=False),
        sa.Column("topic", sa.String(length=255), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_index("ix_refusals_at", "refusals", ["at"], unique=False)
    op.create_table(
        "totals",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("value", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "clips",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("device", sa.String(length=63), nullable=False),
        sa.Column("camera", sa.String(length=63), nullable=False),
        sa.Column("recording", sa.String(length=36), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("last", sa.Boolean(), nullable=False),
        sa.Column("captured_at", UtcText, nullable=False),
        sa.Column("received_at", UtcText, nullable=False),
        sa.Column("duration", sa.Float(), nullable=False),
        sa.Column("content_type", sa.String(length=100), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("trigger", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("settled_at", UtcText, nullable=True),
        sa.Column("joined", sa.Boolean(), nullable=False),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("frames", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("worker", sa.String(length=63), nullable=False),
        sa.Column("tracks", sa.Text(), nullable=True),
        sa.Column("file", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["recording"],
            ["recordings.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("clips_of_camera", "clips", ["device", "camera", "captured_at"], unique=False)
    op.create_index(
        "clips_waiting",
        "clips",
        ["received_at"],
        unique=False,
        sqlite_where=sa.text("state = 'waiting'"),
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_index(
        "clips_with_file",
        "clips",
        ["received_at", "size"],
        unique=False,
        sqlite_where=sa.text("file = 1"),
        postgresql_where=sa.text("file"),
    )
    op.create_index("ix_clips_received_at", "clips", ["received_at"], unique=False)
    op.create_index("ix_clips_recording", "clips", ["recording"], unique=False)
    op.create_table(
        "events",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("device", sa.String(length=63), nullable=False),
        sa.Column("camera", sa.String(length=63), nullable=False),
        sa.Column("recording", sa.String(length=36), nullable=False),
        sa.Column("label", sa.String(length=64), nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        sa.Column("start_time", UtcText, nullable=False),
        sa.Column("end_time", UtcText, nullable=False),
        sa.Column("ended", sa.Boolean(), nullable=False),
        sa.Column("kept", sa.Boolean(), nullable=False),
        sa.Column("picture", sa.String(length=64), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("members", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["recording"],
            ["recordings.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("events_of_camera", "events", ["device", "camera", "start_time"], unique=False)
    op.create_index("ix_events_recording", "events", ["recording"], unique=False)
    op.create_index("ix_events_start_time", "events", ["start_time"], unique=False)


def downgrade() -> None:
    raise RuntimeError("the first schema has none before it; restore a backup of the database instead")
