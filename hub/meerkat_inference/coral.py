"""Coral accelerators: which are plugged in, and whether they answer."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from .engine import EDGE_TPU_LIBRARY

USB_IDS = frozenset({("1a6e", "089a"), ("18d1", "9302")})
"""Vendor and product of a stick before and after it got its firmware."""
PROBE_SECONDS = 30.0
"""A stick that gets its firmware takes some seconds."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What became of opening a device in a process of its own."""

    device: str
    ok: bool
    what: str = ""
    remedy: str = ""


def plugged(sys_folder: Path = Path("/sys"), dev_folder: Path = Path("/dev")) -> tuple[str, ...]:
    """The Edge TPUs that the kernel sees, as libedgetpu names them; needs no library and takes no time."""
    usb = 0
    for vendor in sorted((sys_folder / "bus/usb/devices").glob("*/idVendor")):
        try:
            ids = (vendor.read_text().strip(), vendor.with_name("idProduct").read_text().strip())
        except OSError:
            continue
        usb += ids in USB_IDS
    pci = sum(1 for _ in dev_folder.glob("apex_*"))
    return (*(f"usb:{number}" for number in range(usb)), *(f"pci:{number}" for number in range(pci)))


def probe(device: str, library: str = EDGE_TPU_LIBRARY, *, seconds: float = PROBE_SECONDS) -> Probe:
    """Open the device in a process of its own, which a library of the wrong build may end."""
    command = [sys.executable, "-P", "-m", "meerkat_inference.coral_probe", library, device]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return Probe(
            device,
            False,
            f"the Edge TPU {device} did not answer within {seconds:g} s",
            "Unplug it and plug it in again, into a USB 3 port with enough power",
        )
    if done.returncode < 0:
        return Probe(
            device,
            False,
            f"{library} ended the process that loaded it ({signal.Signals(-done.returncode).name})",
            "It was built for another TensorFlow Lite: install a libedgetpu that fits this runtime, or the "
            "extra coral-legacy (docs/how-to/workers.md)",
        )
    try:
        answer = json.loads(done.stdout.strip().splitlines()[-1])
        return Probe(device, bool(answer["ok"]), str(answer["what"]), str(answer["remedy"]))
    except (ValueError, IndexError, KeyError, TypeError):
        words = " ".join(done.stderr.split())[-300:] or "it said nothing"
        return Probe(
            device,
            False,
            f"the probe of {device} ended with status {done.returncode}: {words}",
            "Install the extra worker again: pip install 'meerkat-home[worker]'",
        )
