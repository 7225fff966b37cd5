"""What Darknet says on standard error: its only word on failure, since it ends with status 0 all the same."""

from __future__ import annotations

import re

_BAD = re.compile(
    r"Couldn't|[Cc]annot|not recognized|Unused field|could parse|going with|rror|Assertion|Segmentation|"
    r"not found|Too many or too few"
)


def complaint(text: str) -> str:
    """The first line that tells of a failure, or an empty string."""
    for line in text.splitlines():
        if _BAD.search(line):
            return line.strip()[:200]
    return ""


def last_line(text: str) -> str:
    return next((line.strip()[:200] for line in reversed(text.splitlines()) if line.strip()), "")
