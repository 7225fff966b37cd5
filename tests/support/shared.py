"""Development media and models that lie beside the checkout and are never committed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

FOLDER = Path(os.environ.get("MEERKAT_SHARED") or Path(__file__).resolve().parents[3] / "shared")


def shared(path: str) -> Path:
    """The file, or skip the test with the reason."""
    file = FOLDER / path
    if not file.exists():
        pytest.skip(f"needs development file {path}, not found in {FOLDER} (set MEERKAT_SHARED)")
    return file
