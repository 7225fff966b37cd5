"""Play mock sensors from a terminal: a key each, as on a desk without hardware."""

from __future__ import annotations

import logging
import os
import select
import sys
import termios
import threading
import tty
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import click

from meerkat_contract.errors import MeerkatError
from meerkat_devices.settings.pins import SensorSettings

from .wiring import Pins

_log = logging.getLogger("meerkat.device")

FIRST = {"motion": " ", "door": "d", "button": "b"}
"""The key of the first sensor of each kind; the others have digits."""

_NAMES = {" ": "space"}

AWAY_SECONDS = 0.5
"""Between looks at whether the terminal is ours again."""


def keys_of(sensors: Mapping[str, SensorSettings]) -> dict[str, str]:
    """Key → sensor; after nine more than one of each kind, the rest has none."""
    keys: dict[str, str] = {}
    digits = iter("123456789")
    for name, sensor in sensors.items():
        key = FIRST[sensor.kind]
        if key in keys:
            key = next(digits, "")
        if key:
            keys[key] = name
    return keys


def help_line(keys: Mapping[str, str], sensors: Mapping[str, SensorSettings]) -> str:
    """Such as `Mock pins: [space] hall-pir on and off, [b] press bell`."""
    does = {"motion": "{} on and off", "door": "{} open and shut", "button": "press {}"}
    each = (f"[{_NAMES.get(key, key)}] {does[sensors[name].kind].format(name)}" for key, name in keys.items())
    return "Mock pins: " + ", ".join(each)


class Keyboard:
    """Of the terminal on standard input; `start`, then `stop`, which gives the terminal back as it was."""

    def __init__(self, pins: Pins) -> None:
        self._pins = pins
        self._sensors = {name: sensor.settings for name, sensor in pins.sensors.items()}
        self._keys = keys_of(self._sensors)
        self._before: Any = None
        self._end = -1
        """Closed to end the reader."""

    def start(self) -> None:
        """Nothing happens where no person sits: no terminal, or one that belongs to another program now."""
        if not self._keys or not _ours():
            return
        fd = sys.stdin.fileno()
        self._before = termios.tcgetattr(fd)
        tty.setcbreak(fd)
        click.echo(help_line(self._keys, self._sensors), err=True)
        ended, self._end = os.pipe()
        threading.Thread(target=self._read, args=(fd, ended), name="keyboard", daemon=True).start()

    def stop(self) -> None:
        before, self._before = self._before, None
        if before is None:
            return
        os.close(self._end)
        if _ours():  # whoever has it meanwhile has set it up, and to touch it would stop this program
            with suppress(termios.error):  # hung up: nobody is left to give it back to
                termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, before)

    def press(self, key: str) -> None:
        """A key that means nothing says which ones do."""
        name = self._keys.get(key)
        if name is None:
            click.echo(help_line(self._keys, self._sensors), err=True)
            return
        try:
            self._pins.play(name, on=True if self._sensors[name].kind == "button" else None)
        except MeerkatError as error:
            click.echo(f"{error}", err=True)

    def _read(self, fd: int, ended: int) -> None:
        """Until `ended` can be read, or the terminal is gone.

        In the background (Ctrl-Z, `bg`) keys are the shell's: to read one would stop the whole program.
        """
        try:
            ours = True
            while True:
                before, ours = ours, _ours()
                if ours and not before:
                    tty.setcbreak(fd)
                ready, _, _ = select.select([ended, *[fd] * ours], [], [], None if ours else AWAY_SECONDS)
                if ended in ready:
                    return
                if fd in ready and _ours():
                    key = os.read(fd, 1)
                    if not key:
                        return
                    with suppress(UnicodeDecodeError):  # a part of a letter that is no key anyway
                        self.press(key.decode().lower())
        except (OSError, termios.error) as error:
            _log.debug("no more keys: %s", error)
        finally:
            os.close(ended)


def _ours() -> bool:
    """Whether standard input is a terminal, and we are what runs in its foreground."""
    if sys.stdin is None:  # started with it closed, as `<&-` does
        return False
    try:
        return sys.stdin.isatty() and os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError):
        return False
