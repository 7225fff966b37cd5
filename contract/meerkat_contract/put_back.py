"""That a house was put back without its clips and pictures: `meerkat restore` notes it, the hub reads it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

_FILE = "put-back-without-media"


def note_media_left_out(hub: Path, made_at: datetime) -> None:
    """In the hub's data folder: whatever was taken before `made_at` may have no file. Raises OSError."""
    hub.mkdir(mode=0o700, exist_ok=True)
    (hub / _FILE).write_text(f"{made_at.isoformat()}\n")


def media_left_out(hub: Path) -> datetime | None:
    """When the backup was made that was put back without its media; None when that is not known."""
    try:
        return datetime.fromisoformat((hub / _FILE).read_text().strip()).astimezone()
    except (OSError, ValueError):
        return None
