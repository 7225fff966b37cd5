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
    """The pins that are not met. One with a marker (`; sys_platform == …`) may be absent.

    A package may be pinned once for each version of Python; one of them has to be met.
    """
    pins: dict[str, list[str]] = {}
    needed = set()
    for line in lock.splitlines():
        if match := LINE.match(line):
            name, wanted, marker = match.groups()
            pins.setdefault(name, []).append(wanted)
            if not marker or not marker.strip("; \\"):
                needed.add(name)
    unmet = []
    for name, versions in pins.items():
        try:
            met = version(name) in versions
        except PackageNotFoundError:
            met = name not in needed
        if not met:
            unmet.append(f"{name}=={' or '.join(versions)}")
    return unmet


if __name__ == "__main__":
    sys.exit(1 if missing(Path(sys.argv[1]).read_text()) else 0)
