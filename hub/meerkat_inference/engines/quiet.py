"""What native libraries print past Python's logging, sorted: chatter goes to the log's debug level."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_log = logging.getLogger(__name__)

_CHATTER = (b"INFO:", b"VERBOSE:", b"DEBUG:")

_one_at_a_time = threading.Lock()
"""Standard error belongs to the whole process: two that turn it aside at once would mix it up."""


@contextmanager
def quietly() -> Iterator[None]:
    """Standard error of native code is held back while the block runs, then told without its chatter.

    LiteRT knows no setting for it. Lines of other threads come a little late; none is lost.
    """
    with _one_at_a_time, tempfile.TemporaryFile() as held:
        sys.stderr.flush()
        try:
            real = os.dup(2)
        except OSError:  # no standard error, nothing to keep quiet
            yield
            return
        try:
            os.dup2(held.fileno(), 2)
            try:
                yield
            finally:
                sys.stderr.flush()
                os.dup2(real, 2)
                held.seek(0)
                _tell(held.read(), real)
        finally:
            os.close(real)


def _tell(text: bytes, descriptor: int) -> None:
    for line in text.splitlines(keepends=True):
        if line.startswith(_CHATTER):
            _log.debug("%s", line.decode(errors="replace").rstrip())
        else:
            os.write(descriptor, line)
