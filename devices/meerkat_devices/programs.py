"""Running somebody's program: one that hangs, leaves children behind or prints anything hangs nobody here."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from typing import IO

from meerkat_contract.errors import DeviceError

LOOK = 0.2
"""Seconds between looks at whether to wait on."""

MOST = 10_000
"""Bytes of what it prints that are read."""


def run_program(
    words: list[str],
    *,
    where: str,
    late: Callable[[], str],
    leave: Callable[[], bool] = lambda: False,
    cannot: str = "",
    failed: str = "",
) -> str:
    """What it printed. `late` says why it is to be killed, with its children; "" to wait on.

    When `leave` says so it is left to run and "" returned. Raises DeviceError when it cannot be run (the
    remedy is `cannot`), does not end well (`failed`), or was late.
    """
    name = words[0]
    # Files rather than pipes: a child that it leaves behind would hold a pipe open for ever.
    with _scratch() as out, _scratch() as err:
        try:
            program = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True
            )
        except (OSError, ValueError) as error:
            said = getattr(error, "strerror", None) or error
            raise DeviceError(f"{name} cannot be run ({said})", where=where, remedy=cannot) from error
        while True:
            try:
                program.wait(LOOK)
                break
            except subprocess.TimeoutExpired:
                if leave():
                    program.returncode = 0  # nobody asks for it any more
                    return ""
                if why := late():
                    _kill(program)
                    raise DeviceError(f"{name} {why}", where=where, remedy=failed) from None
        said = _text(out)
        if program.returncode:
            told = (_text(err).strip() or said.strip())[-200:] or "nothing"
            raise DeviceError(
                f"{name} ended with {program.returncode} and said: {told}", where=where, remedy=failed
            )
        return said


def _scratch() -> IO[bytes]:
    """In memory where the system can: the disk may be full, or read-only."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("printed"), "w+b")
    return tempfile.TemporaryFile()


def _kill(program: subprocess.Popen[bytes]) -> None:
    """With its children; what runs as another user, by sudo, cannot be."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(program.pid, signal.SIGKILL)
    try:
        program.wait(1.0)
    except subprocess.TimeoutExpired:
        program.returncode = -signal.SIGKILL  # it is left alone


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read(MOST).decode(errors="replace")
