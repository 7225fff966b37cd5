"""The cameras that are added on the page, in the file that `meerkat up` follows."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, RootModel

from meerkat_contract.added_cameras import (
    AddedCameras,
    check_cameras,
    check_source,
    read_cameras,
    write_cameras,
)
from meerkat_contract.errors import UsageError

MOST = 50
"""Cameras; what adds more is no person."""


class _Things(BaseModel):
    """A device of the section `devices`, as far as its names matter here."""

    model_config = ConfigDict(extra="allow")

    cameras: dict[str, Any] = Field(default_factory=dict)
    meters: dict[str, Any] = Field(default_factory=dict)


class ConfiguredDevices(RootModel[dict[str, _Things | None]]):
    """Section `devices`: what the configuration file gives, which nobody can add a second time."""

    root: dict[str, _Things | None] = Field(default_factory=dict)

    @property
    def owners(self) -> dict[str, str]:
        """Camera or meter → the device that has it."""
        return {
            thing: device
            for device, own in self.root.items()
            if own is not None
            for thing in (*own.cameras, *own.meters)
        }


class NameTaken(UsageError):
    """The configuration file has a camera or meter of this name."""


class PageCameras:
    """Reads the file anew each time: it is small, and its owner may change it. Safe on any thread.

    `demo`: the drawn devices that end with the first camera.
    """

    def __init__(
        self, file: Path, *, configured: Mapping[str, str] | None = None, demo: tuple[str, ...] = ()
    ) -> None:
        self.file = file
        self.demo = demo
        self.lock = threading.RLock()
        """Held by who writes the file, and by who clears away what it names no longer."""
        self._configured = dict(configured or {})

    def all(self) -> AddedCameras:
        """Raises UsageError when the file cannot be read."""
        return read_cameras(self.file)

    @property
    def drawn(self) -> tuple[str, ...]:
        """The devices of the demo while there is nothing else; none when that cannot be told."""
        try:
            return () if self.demo and self.all().cameras else self.demo
        except UsageError:
            return ()  # whoever asks for the cameras themselves is told why

    def put(self, name: str, source: str | None, label: str) -> bool:
        """Add a camera, or change it; without a source it keeps its own. Whether it is a new one.

        Raises UsageError for what cannot be, NameTaken, LookupError for a new one without a source,
        StorageError.
        """
        if owner := self._configured.get(name):
            raise NameTaken(
                f"the configuration file has {name!r} already, of device {owner!r}",
                where="name",
                remedy="Give this camera another name, or change the one of the file in the file",
            )
        with self.lock:
            added = self.all()
            known = added.cameras.get(name)
            if known is None and source is None:
                raise LookupError(name)
            if known is None and len(added.cameras) >= MOST:
                raise UsageError(f"there are {MOST} cameras already", remedy="Write more into meerkat.yaml")
            own: dict[str, Any] = dict(known or {})
            if source is not None:
                own["source"] = check_source(source)
            own["label"] = label
            wanted = AddedCameras(added.device, {**added.cameras, name: own})
            check_cameras(wanted)
            if own != known:
                write_cameras(self.file, wanted)
        return known is None

    def remove(self, name: str) -> bool:
        """Whether there was one. Raises UsageError, StorageError."""
        with self.lock:
            added = self.all()
            left = {one: own for one, own in added.cameras.items() if one != name}
            if len(left) == len(added.cameras):
                return False
            write_cameras(self.file, AddedCameras(added.device, left))
        return True
