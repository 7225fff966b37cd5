"""The cameras that were added on the page, in a device of their own that follows their file."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from meerkat_contract.added_cameras import (
    DEVICE,
    AddedCameras,
    cameras_file,
    check_file,
    read_cameras,
    unsent,
    write_cameras,
)
from meerkat_contract.errors import UsageError

from .supervisor import Output, ProcessSpec, Supervisor

LOOK_SECONDS = 1.0
"""Between looks at the file, which the hub writes, and at what is still to be handed over."""
HAND_OVER = "--hand-over"
HAND_OVER_SECONDS = 24 * 3600.0
"""After so long a device without cameras that cannot hand over what it recorded ends until the next start."""


def prepare(data: Path, taken: Collection[str]) -> AddedCameras:
    """What there is, in a file that names their device: none of `taken`, which are the configuration's.

    A file that cannot be read stays as it is: the house runs without its cameras, and `follow` says why.
    Raises UsageError, StorageError.
    """
    file = cameras_file(data)
    free = next(name for name in _names(taken) if name not in taken)
    try:
        added = read_cameras(file)
    except UsageError:
        return AddedCameras(free)
    if added.cameras and added.device in taken:
        raise UsageError(
            f"the configuration has a device {added.device!r}, and so have the cameras added on the page",
            where=str(file),
            remedy=f"Call the one in the configuration something else, or the other one in {file}",
        )
    if not file.exists() or added.device in taken:
        added = AddedCameras(free)
        write_cameras(file, added)
    return added


def _names(taken: Collection[str]) -> Iterator[str]:
    """What their device may be called; at least one of these is not taken."""
    yield DEVICE
    yield from (f"{DEVICE}-{number}" for number in range(2, len(taken) + 3))


def is_readable(data: Path) -> bool:
    """Whether it can be told which cameras there are."""
    try:
        read_cameras(cameras_file(data))
    except UsageError:
        return False
    return True


async def follow(
    file: Path, supervisor: Supervisor, output: Output, spec: ProcessSpec, *, demo: Sequence[str]
) -> None:
    """Start, restart and end the device `spec` as the file says, for ever.

    `demo`: the drawn devices, which end when there is the first camera.
    """
    stamp, running, wrong = (0, 0), AddedCameras(spec.name), False
    last = _HandOver(file.parent, supervisor, output, spec)
    while True:
        now = _stamp(file)
        if now != stamp:
            stamp, wrong = now, False
            try:
                wanted = await asyncio.to_thread(_wanted, file, spec.name)
            except UsageError as error:
                for line in str(error).splitlines():
                    output.say("up", line, logging.ERROR)
                wanted, wrong = running, True
            if wanted != running:
                await last.end()
                if running.cameras:
                    await supervisor.dismiss(spec.name)
                if wanted.cameras:
                    if demo:
                        output.say(
                            "up", f"There is a camera of your own: {' and '.join(demo)} are drawn no longer"
                        )
                        await asyncio.gather(*(supervisor.dismiss(name) for name in demo))
                        demo = ()
                    supervisor.begin(spec)
                running = wanted
        if not (running.cameras or wrong):  # with a wrong file no device starts
            await last.look()
        await asyncio.sleep(LOOK_SECONDS)


def _wanted(file: Path, device: str) -> AddedCameras:
    """Raises UsageError for what the device cannot run with: cameras that run go on without it."""
    added = read_cameras(file)
    if not added.cameras:
        return added
    if added.device != device:
        raise UsageError(
            f"the cameras added on the page hang on device {device!r} here, and not on {added.device!r}",
            where=str(file),
            remedy=f"Write {device} again, or end `meerkat up` and start it anew",
        )
    check_file(file)
    return added


class _HandOver:
    """The device without cameras: it runs while something lies in its outbox that the hub has not got."""

    def __init__(self, data: Path, supervisor: Supervisor, output: Output, spec: ProcessSpec) -> None:
        self._data = data
        self._supervisor = supervisor
        self._output = output
        self._spec = replace(spec, argv=(*spec.argv, HAND_OVER))
        self._until: float | None = None
        """While it runs; None while it does not."""
        self._given_up = False

    async def look(self) -> None:
        """Begin when there is something, end when there is nothing, or when it takes too long."""
        left = unsent(self._data, self._spec.name)
        lie = "one recording lies" if left == 1 else f"{left} recordings lie"
        if self._until is None:
            if left and not self._given_up:
                self._say(
                    f"Its last camera is gone; {lie} in its outbox, and it stays until the hub has them"
                )
                self._until = time.monotonic() + HAND_OVER_SECONDS
                self._supervisor.begin(self._spec)
        elif not left:
            await self.end()
            self._say("The hub has all that it had recorded")
        elif time.monotonic() >= self._until:
            await self.end()
            self._given_up = True
            where = self._data / "devices" / self._spec.name / "outbox"
            self._say(
                f"{lie} in {where}, and the hub does not take them: its log may say why. "
                "It tries again at the next start",
                logging.WARNING,
            )

    async def end(self) -> None:
        """There is a camera again, or it is done."""
        self._given_up = False
        if self._until is not None:
            self._until = None
            await self._supervisor.dismiss(self._spec.name)

    def _say(self, text: str, level: int = logging.INFO) -> None:
        self._output.say(self._spec.name, text, level)


def _stamp(file: Path) -> tuple[int, int]:
    """Another one whenever somebody has written the file."""
    try:
        stat = file.stat()
    except OSError:
        return 0, 0
    return stat.st_mtime_ns, stat.st_ino
