"""Whether this Python has everything of a lock file: exit status 0 if so, 1 if not.

    .venv/bin/python scripts/installed.py requirements/run.txt

Lets the set-up skip installation, and so work without network, where all is there. Only the standard
library is used: nothing may be installed yet.
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

LINE = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)\s*(;.*)?")


def missing(lock: str) -> list[str]:
    """The pins that are not met. One with a marker (`; sys_platform == …`) may be absent."""
    unmet = []
    for line in lock.splitlines():
        match = LINE.match(line)
        if match is None:
            continue
        name, wanted, marker = match.groups()
        try:
            if version(name) != wanted:
                unmet.append(f"{name}=={wanted}")
        except PackageNotFoundError:
            if not marker or not marker.strip("; \\"):
                unmet.append(f"{name}=={wanted}")
    return unmet


if __name__ == "__main__":
    sys.exit(1 if missing(Path(sys.argv[1]).read_text()) else 0)
