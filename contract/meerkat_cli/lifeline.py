"""A child of `meerkat up` ends when its parent does, even when the parent is killed outright.

The parent holds the writing end of a pipe and never writes. Whatever way it dies, the kernel closes
that end, and the child reads end-of-file. This works on Linux and macOS alike.

Foreign programs (Mosquitto) are bound to us by the kernel on Linux; elsewhere
`python -m meerkat_cli.lifeline PROGRAM ARGS` stands between and holds the line for them.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence

VARIABLE = "MEERKAT_LIFELINE_FD"
GRACE_SECONDS = 3.0
"""How long an orphan may take to put its affairs in order."""


def hold() -> None:
    """Watch the pipe that $MEERKAT_LIFELINE_FD names, if there is one, from a daemon thread."""
    number = os.environ.pop(VARIABLE, "")
    if not number.isdecimal():
        return
    descriptor = int(number)
    try:
        os.set_inheritable(descriptor, False)
    except OSError:
        # The variable was inherited without the pipe: whoever started us is not a supervisor.
        return
    threading.Thread(target=_wait, args=(descriptor,), name="lifeline", daemon=True).start()


def _wait(descriptor: int) -> None:
    while os.read(descriptor, 1):
        pass
    done = threading.Timer(GRACE_SECONDS, os._exit, (1,))
    done.daemon = True
    done.start()
    os.kill(os.getpid(), signal.SIGTERM)


def guard(argv: Sequence[str]) -> int:
    """Run a program that knows nothing of the lifeline, and end it when we are to end."""
    process = subprocess.Popen(argv)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _frame: process.send_signal(received))
    hold()
    status = process.wait()
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(guard(sys.argv[1:]))
