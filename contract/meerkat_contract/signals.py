"""Signals that ask a program for its end, told on a thread of their own.

Python runs a signal's handler on the main thread, between two of its instructions. Two things follow for
one that waits there. A handler that sets the very `threading.Event` may come while `wait` holds the event's
lock, and then both stand for ever. And a signal that comes just before the thread sleeps is handled when it
wakes, which without a time limit it never does. From another thread setting the event is what it always is.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

_OVER = b"\0"
"""No signal has this number."""


@contextmanager
def told(numbers: Iterable[int], tell: Callable[[int], object]) -> Iterator[None]:
    """`tell` gets the number of each of these signals, on one thread, until the block ends.

    On the main thread only, as Python has it; for programs without an event loop, which has
    `add_signal_handler`. What other signals do stays as it was.
    """
    wanted = frozenset(numbers)
    reading, writing = os.pipe()
    os.set_blocking(writing, False)

    def listen() -> None:
        while (byte := os.read(reading, 1)) != _OVER:
            if byte[0] in wanted:
                tell(byte[0])

    thread = threading.Thread(target=listen, name="signals", daemon=True)
    thread.start()
    fd = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    before = {number: signal.signal(number, _heard) for number in wanted}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(fd)
        os.write(writing, _OVER)
        thread.join()
        os.close(reading)
        os.close(writing)


def _heard(_number: int, _frame: object) -> None:
    """Python writes the number into the pipe only of signals that have a handler."""
