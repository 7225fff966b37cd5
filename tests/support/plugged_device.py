"""A real device in a process that is made to be killed: one child for each line `go` on standard input.

    python plugged_device.py VIDEO DATA HOST PORT

The libraries are loaded once, before the forks, so that a child works at once. Standard output is the
witness: what it says was said before the child could die.

    pid 123             the child works from now on; `pid` and `empty` alone while it has no camera
    writing ID          the clip is being written
    adding ID SHA256    it is written, with this content; the outbox takes it over
    added ID            it is safe
    empty               the hub has given its word on everything (only after `drain`)
    gone                the child has ended
"""

from __future__ import annotations

import hashlib
import os
import sys
import threading
from pathlib import Path
from typing import Any

from meerkat_contract.connection import Connection
from meerkat_contract.metadata import Metadata
from meerkat_devices import camera as camera_module
from meerkat_devices.outbox.outbox import Entry, Outbox
from meerkat_devices.service import Device, Replay
from meerkat_devices.settings.device import DeviceSettings
from meerkat_devices.sources import container, opening

assert container
assert opening


def say(*words: object) -> None:
    """In one write, which a pipe takes whole or not at all."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def watched() -> None:
    write, add = camera_module.write_clip, Outbox.add

    def writing(path: Path, *rest: Any) -> int:
        say("writing", path.stem)
        return write(path, *rest)

    def adding(self: Outbox, topic: object, metadata: Metadata, **options: bool) -> Entry:
        content = self.temporary(metadata.id).read_bytes()
        say("adding", metadata.id, hashlib.sha256(content).hexdigest())
        entry = add(self, topic, metadata, **options)
        say("added", metadata.id)
        return entry

    camera_module.write_clip = writing  # type: ignore[attr-defined]
    Outbox.add = adding  # type: ignore[method-assign]


def child(video: str, data: Path, connection: Connection, *, drain: bool) -> None:
    camera = {"source": video, "pre_roll": 0, "post_roll": 0, "clip_seconds": 1}
    settings = DeviceSettings.model_validate(
        {"cameras": {} if drain else {"porch": camera}, "outbox": {"spooled_bytes_per_second": 1e9}}
    )
    own = Device("pi", settings, connection, data, replay=Replay(pace="fast", loop=True))
    own.start()
    say("pid", os.getpid())
    never = threading.Event()
    while not (drain and own._sender.empty):
        never.wait(0.05)
    say("empty")


def main() -> None:
    video, data, host, port = sys.argv[1:]
    watched()
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            child(video, Path(data), Connection(host, int(port)), drain=line.strip() == "drain")
            os._exit(0)
        os.waitpid(pid, 0)
        say("gone")


if __name__ == "__main__":
    main()
