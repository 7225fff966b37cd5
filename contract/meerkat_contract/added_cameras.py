"""Cameras that were added on the page: the hub writes the file, and `meerkat up` runs what it names.

    <data>/cameras.yaml     devices: {home: {cameras: {yard: {source: rtsp://…, label: Yard}}}}

It has the form of meerkat.yaml, so that `meerkat check` and `meerkat device --config` take it as it is, and
what somebody adds to a camera by hand (zones, masks) stays. Sources hold passwords: it is its owner's alone.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError

from .configfile import ENTRY_POINTS, section
from .errors import StorageError, UsageError
from .ids import is_name
from .yamltree import read_tree

FILE_NAME = "cameras.yaml"
DEVICE = "home"
"""The device that they belong to; Home Assistant calls one camera.home_<name>."""

LONGEST = 1000
"""Characters of a source."""

HOW = "Write rtsp://user:password@camera/path, http://camera/stream, or 0 for the first USB camera"

_HEAD = "# Written by the hub: cameras that were added on its page. Their addresses hold passwords.\n"
_NETWORK = re.compile(r"(rtsps?|https?|snapshot:https?)://\S+", re.IGNORECASE)
_BEHIND = re.compile(r"[/?#]")
"""Ends what names user, password, machine and port."""
_USB = re.compile(r"[0-9]{1,2}")


@dataclass(frozen=True, slots=True)
class AddedCameras:
    """device: what they hang on. cameras: name → its settings, as in meerkat.yaml."""

    device: str = DEVICE
    cameras: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)


def cameras_file(data: Path) -> Path:
    return data / FILE_NAME


def unsent(data: Path, device: str) -> int:
    """How many clips and pictures lie in the outbox of a device of this data folder: the hub has not
    said yet that it has them."""
    outbox = data / "devices" / device / "outbox"
    return sum(1 for kind in ("*.bin", "*.part") for _ in outbox.glob(kind))


def read_cameras(file: Path) -> AddedCameras:
    """None at all where there is no file. Raises UsageError for one that cannot be read."""
    if not file.exists():
        return AddedCameras()
    tree, problems = read_tree(file)
    devices = tree.data.get("devices") if not problems else None
    try:
        ((device, own),) = dict(devices or {}).items()
        cameras = {str(name): dict(camera) for name, camera in (own["cameras"] or {}).items()}
        texts = [text for one in cameras.values() for text in (one["source"], one.get("label", ""))]
        if not (is_name(device) and all(isinstance(text, str) for text in texts)):
            raise ValueError
    except (ValueError, TypeError, KeyError, AttributeError):
        told = f" ({problems[0].message})" if problems else ""
        raise UsageError(
            f"the cameras that were added on the page cannot be read{told}",
            where=str(file),
            remedy=f"`meerkat check {file}` may say more. Without the file there are none: add them anew",
        ) from None
    if others := sorted({*tree.data, *own} - {"devices", "cameras"}):
        raise UsageError(
            f"only cameras stand here, and the page would lose what else there is: {', '.join(others)}",
            where=str(file),
            remedy="Write that into meerkat.yaml, for a device of another name",
        )
    return AddedCameras(device, cameras)


def write_cameras(file: Path, added: AddedCameras) -> None:
    """Returns when it is on the disk: after a power cut there is the old file or the new one, whole.

    Raises StorageError.
    """
    lines = [
        _HEAD,
        "devices:\n",
        f"  {added.device}:\n",
        "    cameras:" + ("\n" if added.cameras else " {}\n"),
    ]
    lines += [f"      {name}: {_flow(own)}\n" for name, own in sorted(added.cameras.items())]
    part = file.with_name(f"{file.name}.new")
    try:
        with os.fdopen(
            os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8"
        ) as out:
            out.writelines(lines)
            out.flush()
            os.fsync(out.fileno())
        part.replace(file)
        folder = os.open(file.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise StorageError(
            f"the cameras cannot be kept ({error.strerror or error})",
            where=str(file),
            remedy="Is the disk full, or mounted read-only? May the hub write there?",
        ) from error


def _flow(value: Mapping[str, Any]) -> str:
    """One line of YAML: JSON is a part of it but for invisible characters, and these nobody writes."""
    return json.dumps(dict(value), ensure_ascii=False)


def check_source(source: str) -> str:
    """What may be written on the page: a camera of the network, or the number of a USB camera.

    No file of this machine: who may use the page may not read its disk. Raises UsageError, which shows no
    password.
    """
    text = source.strip()
    if len(text) > LONGEST:
        raise UsageError(f"the address has more than {LONGEST} characters", where="source", remedy=HOW)
    if not text:
        raise UsageError("there is no address", where="source", remedy=HOW)
    if not text.isprintable() or not (_NETWORK.fullmatch(text) or _USB.fullmatch(text)):
        raise UsageError("this is not the address of a camera", where="source", remedy=HOW)
    place = text.partition("://")[2]
    login = _BEHIND.split(place, maxsplit=1)[0]
    if "@" in place[len(login) :] and ("@" in login or ":" in login):
        # The first part of a password would be taken for the camera's name or its port, and shown.
        raise UsageError(
            "the address cannot be read: it has an @ behind the first / or ? or #",
            where="source",
            remedy="Write special characters of user and password with a per cent sign: "
            "%40 for @, %2F for /, %3F for ?, %23 for #",
        )
    return text


def check_cameras(added: AddedCameras) -> None:
    """Whether a device could run with them, by the rules of section `devices`. Raises UsageError.

    The devices' own model is asked, found by its entry point as for `meerkat check`.
    """
    model = _model()
    try:
        model.model_validate({added.device: {"cameras": {k: dict(v) for k, v in added.cameras.items()}}})
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        what, _, remedy = first["msg"].removeprefix("Value error, ").partition(". ")
        *_, where = (str(part) for part in first["loc"] if part != "[key]")
        raise UsageError(what[:1].lower() + what[1:], where=where, remedy=remedy) from None


def check_file(file: Path) -> None:
    """Whether a device could run with the file as it stands, every line of it. Raises UsageError."""
    section(file, "devices", _model())


def _model() -> type[BaseModel]:
    """Of section `devices`."""
    entry = next(one for one in entry_points(group=ENTRY_POINTS) if one.name == "devices")
    try:
        model: type[BaseModel] = entry.load()
    except ModuleNotFoundError as error:
        raise UsageError(
            f"this machine cannot run cameras: {error.name} is not installed",
            remedy="Type: pip install 'meerkat-home[home]'",
        ) from error
    return model


def without_secrets(source: str) -> str:
    """For people, answers and logs: no user, no password, nothing behind the question mark."""
    scheme, colon, rest = source.partition("://")
    if not colon:
        return source if _USB.fullmatch(source) else "…"
    try:
        parts = urlsplit(f"http://{rest}")
    except ValueError:
        return f"{scheme}://…"
    return f"{scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
