"""CPU time and memory of processes and their children, from /proc (Linux)."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Usage:
    """Of one process: CPU seconds so far, and memory that is its own (private) and resident, in MB."""

    pid: int
    name: str
    cpu: float
    resident: float
    private: float


def tree(pid: int) -> list[int]:
    """The process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            children.setdefault(int(fields[1]), []).append(int(folder.name))
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        found.append(one)
        todo += children.get(one, [])
    return found


def kill_all(pids: Iterable[int]) -> None:
    """SIGKILL; some end by themselves when their parent has."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def usage(pid: int) -> Usage | None:
    """None when the process has ended."""
    folder = Path("/proc") / str(pid)
    try:
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        command = (folder / "cmdline").read_bytes().split(b"\0")
        memory = _memory(folder)
    except OSError:
        return None
    return Usage(pid, _name(command), (int(fields[11]) + int(fields[12])) / TICKS, *memory)


def _memory(folder: Path) -> tuple[float, float]:
    resident = private = 0
    for line in (folder / "smaps_rollup").read_text().splitlines():
        key, _, value = line.partition(":")
        if key == "Rss":
            resident = int(value.split()[0])
        elif key in ("Private_Clean", "Private_Dirty"):
            private += int(value.split()[0])
    return resident / 1000, private / 1000


def _name(command: list[bytes]) -> str:
    words = [word.decode(errors="replace") for word in command if word]
    if not words:
        return "?"
    if "meerkat_cli" in words:
        rest = words[words.index("meerkat_cli") + 1 :]
        name = rest[0] if rest else "meerkat"
        return f"{name} {rest[rest.index('--name') + 1]}" if "--name" in rest else name
    if any(word.endswith("/meerkat") for word in words[:2]):
        return "up"
    return Path(words[0]).name
