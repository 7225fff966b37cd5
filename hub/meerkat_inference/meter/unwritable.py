"""A file that cannot be written, in words."""

from __future__ import annotations

from pathlib import Path

from meerkat_contract.errors import StorageError


def unwritable(path: Path, error: OSError) -> StorageError:
    """The error to raise instead: most often it is the folder that is missing."""
    if not path.parent.is_dir():
        return StorageError(
            f"cannot be written: there is no folder {path.parent}",
            where=str(path),
            remedy="Make the folder, or name another file",
        )
    return StorageError(f"cannot be written: {error.strerror}", where=str(path), remedy="Name another file")
