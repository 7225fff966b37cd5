"""What this machine is and how it feels: its name, its temperature, its memory.

Each answers None where the machine does not tell (macOS, a container without /sys).
"""

from __future__ import annotations

import os
import platform
from pathlib import Path

MODEL_FILES = (Path("/proc/device-tree/model"), Path("/sys/firmware/devicetree/base/model"))
THERMAL = Path("/sys/class/thermal")
MEMINFO = Path("/proc/meminfo")


def hardware() -> str:
    """What this machine is, in words: the board's own name, else processor and cores."""
    for path in MODEL_FILES:
        try:
            return path.read_text(encoding="utf-8").rstrip("\0\n ")
        except OSError:
            continue
    return f"{platform.machine()}, {os.cpu_count() or 1} cores"


def temperature(folder: Path = THERMAL) -> float | None:
    """Degrees Celsius of the hottest zone, one decimal. A zone that cannot be read sleeps; it is left out."""
    hottest: float | None = None
    for zone in folder.glob("thermal_zone*/temp"):
        try:
            degrees = int(zone.read_text(encoding="ascii")) / 1000
        except (OSError, ValueError):
            continue
        if -60 <= degrees <= 200 and (hottest is None or degrees > hottest):
            hottest = degrees
    return None if hottest is None else round(hottest, 1)


def memory_free(path: Path = MEMINFO) -> int | None:
    """Bytes that programs can still have without swapping (the kernel's MemAvailable)."""
    try:
        for line in path.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        return None
    return None
