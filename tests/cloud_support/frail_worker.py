"""`frail_worker.py FOLDER`: the real `meerkat cloud-worker`, whose decoder some clips break.

A clip with POISON in it kills the process, as a decoder with a hole in it would. The first worker that
gets the clip with HOLD in it stops in mid-clip, until somebody kills it. What it begins it says, as a
line `INFO begins <job>`.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

POISON = b"meerkat-test-poison"
HOLD = b"meerkat-test-hold"


def marked(clip: bytes, mark: bytes) -> bytes:
    """The MP4 with the mark in a box of its own, which players skip."""
    return clip + (len(mark) + 8).to_bytes(4, "big") + b"free" + mark


def main(folder: Path) -> None:
    from meerkat_cli.main import main as meerkat
    from meerkat_contract.messages import Job, Result
    from meerkat_inference.looking import Looking
    from meerkat_inference.tasks import Circumstances

    honest = Looking.do

    def do(self: Looking, job: Job, payload: bytes, circumstances: Circumstances) -> Result:
        print(f"INFO begins {job.job}", flush=True)
        if POISON in payload:
            os.kill(os.getpid(), signal.SIGKILL)
        if HOLD in payload and not (folder / "held").exists():
            (folder / "held").touch()
            print(f"INFO holds {job.job}", flush=True)
            threading.Event().wait(60)
        return honest(self, job, payload, circumstances)

    Looking.do = do  # type: ignore[method-assign]
    sys.argv = ["meerkat", "cloud-worker"]
    meerkat()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
