"""Kill -9 before every line of the outbox's code, one after another: `python crash_points.py FOLDER STEP`.

A child is forked for each point, works on a copy of the same outbox, and is gone before the given line,
as one that is killed: nothing is flushed, closed or caught. Prints one JSON object for each point: what the
next opening finds.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

from meerkat_contract.metadata import Metadata
from meerkat_devices.outbox.outbox import Outbox
from meerkat_devices.outbox.room import Room

IDS = [f"01930000-0000-7000-8000-00000000000{n}" for n in range(4)]
NEW = IDS[3]
DONE, KILLED = 0, 9


def opened(folder: Path, max_bytes: int = 10**7) -> Outbox:
    return Outbox(folder, max_bytes=max_bytes, refused_bytes=10**6)


def content(entry_id: str) -> bytes:
    return entry_id.encode() * 10


def add(outbox: Outbox, entry_id: str, *, wait: bool = True) -> None:
    about = Metadata(id=entry_id, captured_at=datetime(2026, 11, 20, tzinfo=UTC), content_type="video/mp4")
    outbox.temporary(entry_id).write_bytes(content(entry_id))
    outbox.add("meerkat/device/pi/porch/clip", about, wait=wait)


def make_room(outbox: Outbox) -> None:
    outbox._room = Room(outbox.folder, 1_000_000)
    outbox.make_room(999_500)  # two of the three have to go


STEPS: dict[str, Callable[[Outbox], object]] = {
    "add": lambda outbox: add(outbox, NEW),
    "add and go on": lambda outbox: add(outbox, NEW, wait=False),
    "forget": lambda outbox: outbox.forget(IDS[0]),
    "refuse": lambda outbox: outbox.refuse(IDS[0], "no MP4"),
    "make room": make_room,
    "open": lambda outbox: opened(outbox.folder.parent / "other").close(),
}


def killed_at(point: int) -> Callable[[FrameType, str, Any], Any]:
    left = [point]

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        if not Path(frame.f_code.co_filename).name.startswith("outbox"):
            return None
        if event == "line":
            left[0] -= 1
            if left[0] < 0:
                os._exit(KILLED)
        return trace

    return trace


def life(folder: Path, step: str, point: int) -> None:
    outbox = opened(folder)
    trace = killed_at(point)
    threading.settrace(trace)
    sys.settrace(trace)
    STEPS[step](outbox)
    sys.settrace(None)
    outbox._keeper.close(10)
    os._exit(DONE)


def found(folder: Path) -> dict[str, Any]:
    outbox = opened(folder)
    entries = outbox.waiting()
    result = {
        "whole": [entry.id for entry in entries if outbox.lend(entry) == content(entry.id)],
        "refused": sorted(path.name for path in outbox.refused_folder.iterdir()),
        "files": sorted(path.name for path in folder.iterdir() if path.suffix in (".bin", ".part")),
        "waiting": len(entries),
    }
    outbox.close()
    again = opened(folder)
    result["repaired again"] = again.repaired
    result["same again"] = again.waiting() == entries
    again.close()
    return result


def main() -> None:
    base, step = Path(sys.argv[1]), sys.argv[2]
    outbox = opened(base / "original")
    for entry_id in IDS[:3]:
        add(outbox, entry_id)
    outbox.close()
    if step == "open":  # the folder that is opened is one that a crash left
        other = base / "original"
        (other / f"{IDS[0]}.bin").rename(other / f"{IDS[0]}.part")
        (other / "outbox.sqlite").write_bytes(b"damaged" * 1000)
    for point in range(100_000):
        folder = base / "copy" / ("other" if step == "open" else "outbox")
        shutil.copytree(base / "original", folder)
        mine = base / "copy" / "mine" if step == "open" else folder
        pid = os.fork()
        if pid == 0:
            life(mine, step, point)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        print(json.dumps({"point": point, "status": status, **found(folder)}), flush=True)
        shutil.rmtree(base / "copy")
        if status != KILLED:
            return


if __name__ == "__main__":
    main()
