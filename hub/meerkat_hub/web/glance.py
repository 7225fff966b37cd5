"""A first picture of an address, taken by `meerkat device try` in a process of its own.

The devices' own code opens it, so what works here works later. A camera can hang a library for good; a
process can be ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from meerkat_contract.added_cameras import without_secrets
from meerkat_contract.errors import MediaError, UsageError

SECONDS = 12.0
"""That the camera has."""
START_SECONDS = 8.0
"""More, for the program to start on a busy Pi, and to end."""
AT_A_TIME = 2


@dataclass(frozen=True, slots=True)
class Glance:
    """picture: JPEG. width, height: the camera's own. fps: 0 if unknown."""

    picture: bytes
    width: int
    height: int
    fps: float


_turns = asyncio.Semaphore(AT_A_TIME)


async def glance(source: str) -> Glance:
    """Raises MediaError, or UsageError for what cannot be a camera; neither shows a password."""
    async with _turns:
        with tempfile.TemporaryDirectory(prefix="meerkat-try-") as folder:
            picture = Path(folder) / "picture.jpg"
            said = await _run(source, picture)
            if "what" in said:
                raise _error(said)
            content = await asyncio.to_thread(picture.read_bytes)
    return Glance(content, said["width"], said["height"], said["fps"])


def _error(said: dict[str, Any]) -> MediaError | UsageError:
    what, where, remedy = (str(said.get(part, "")) for part in ("what", "where", "remedy"))
    return (UsageError if where == "source" else MediaError)(what, where=where, remedy=remedy)


async def _run(source: str, picture: Path) -> dict[str, Any]:
    """What the program says. The source goes over a pipe: every user of the machine can read arguments."""
    arguments = ("device", "try", "-", "--json", "--picture", str(picture), "--seconds", f"{SECONDS:g}")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "meerkat_cli", "--quiet", *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        told, _ = await asyncio.wait_for(process.communicate(source.encode()), SECONDS + START_SECONDS)
    except TimeoutError:
        raise MediaError(
            f"it does not answer within {SECONDS:g} s",
            where=without_secrets(source),
            remedy="Is the camera on, and its address right?",
        ) from None
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    try:
        said = json.loads(told.decode().strip().splitlines()[-1])
    except (ValueError, IndexError):
        said = None
    if not isinstance(said, dict):
        raise MediaError(
            "`meerkat device try` has failed",
            where=without_secrets(source),
            remedy="Type it yourself, on the hub's machine: it says more",
        )
    return said
