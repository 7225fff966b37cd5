"""What the machine says of itself: model, serial number, network address, and this program's version."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

LOCAL = 0x02
"""Bit of a MAC's first byte: somebody made it up (a container's changes at each start)."""


@dataclass(frozen=True, slots=True)
class Board:
    """Empty where the machine does not say."""

    model: str
    """Such as `Raspberry Pi 4 Model B Rev 1.5`; the kind of machine where no board says its name."""
    model_id: str = ""
    """Such as `raspberrypi,4-model-b`."""
    serial: str = ""
    mac: str = ""
    """Of the interface that leads out; none that was made up."""


def this_board(root: Path = Path("/")) -> Board:
    """`root` stands in for the file system's."""
    tree = root / "proc/device-tree"
    return Board(
        model=_text(tree / "model") or f"{platform.system()} {platform.machine()}",
        model_id=_text(tree / "compatible").partition("\0")[0],
        serial=_text(tree / "serial-number"),
        mac=_mac(root),
    )


def software() -> str:
    """Name and version of this program."""
    try:
        return f"meerkat {version('meerkat-home')}"
    except PackageNotFoundError:
        return "meerkat"


def _mac(root: Path) -> str:
    """proc(5) on /proc/net/route: interface, destination (zero: anywhere), …"""
    routes = [line.split() for line in _text(root / "proc/net/route").splitlines()[1:]]
    leads_out = next((fields[0] for fields in routes if fields[1:2] == ["00000000"]), "")
    address = _text(root / "sys/class/net" / leads_out / "address").lower() if leads_out else ""
    parts = address.split(":")
    good = len(parts) == 6 and all(len(part) == 2 and set(part) <= set("0123456789abcdef") for part in parts)
    return address if good and any(map(_number, parts)) and not _number(parts[0]) & LOCAL else ""


def _number(part: str) -> int:
    return int(part, 16)


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip("\0 \n")
    except OSError:
        return ""
