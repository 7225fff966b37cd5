"""The exporters print pages about themselves; a person wants one line, and all of it when they fail."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def held_back() -> Iterator[None]:
    """What the block prints, native code included, is told only when it raises."""
    sys.stdout.flush()
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        real = [os.dup(descriptor) for descriptor in (1, 2)]
        try:
            for descriptor in (1, 2):
                os.dup2(held.fileno(), descriptor)
            yield
        except BaseException:
            _give_back(real)
            held.seek(0)
            os.write(2, held.read())
            raise
        finally:
            _give_back(real)
            for descriptor in real:
                os.close(descriptor)


def _give_back(real: list[int]) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    for descriptor, old in zip((1, 2), real, strict=True):
        os.dup2(old, descriptor)
