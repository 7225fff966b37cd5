"""Keys that play mock sensors, on every kind of standard input that a program is started with."""

from __future__ import annotations

import os
import pty
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from meerkat_devices.pins import keyboard
from meerkat_devices.pins.keyboard import Keyboard, keys_of
from support.pins import WIRED, Bench
from support.wait import wait_for


@contextmanager
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Standard input is a terminal, and ours; yields the far end."""
    far, near = pty.openpty()
    with os.fdopen(near) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        monkeypatch.setattr(keyboard, "_ours", lambda: True)
        yield far
    with suppress(OSError):  # the test has hung up
        os.close(far)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path, **{**WIRED, "pins": "mock"})
    bench.settle()
    yield bench
    bench.pins.close()


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_each_sensor_has_a_key_while_there_are_keys() -> None:
    from meerkat_devices.settings.pins import SensorSettings

    pir = SensorSettings(kind="motion", gpio=4)
    keys = keys_of({f"pir-{n}": pir for n in range(12)})
    assert list(keys) == [" ", *"123456789"]


def test_without_standard_input_there_are_no_keys(desk: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that is started with `<&-` has none at all, as some supervisors do it."""
    monkeypatch.setattr(sys, "stdin", None)
    keys = Keyboard(desk.pins)
    keys.start()
    assert "keyboard" not in {thread.name for thread in threading.enumerate()}
    keys.stop()


def test_a_keyboard_leaves_nothing_open(desk: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that sleeps starts one anew each time that it wakes."""
    with terminal(monkeypatch):
        before = open_files()
        for _ in range(3):
            keys = Keyboard(desk.pins)
            keys.start()
            keys.stop()
        wait_for(lambda: open_files() <= before, what="the pipes to be closed")


def test_keys_typed_while_it_runs_in_the_background_are_the_shells(
    desk: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading them would stop the whole program (SIGTTIN), and its lamps' watchdog with it."""
    ours = True
    looks: list[bool] = []

    def whose() -> bool:
        looks.append(ours)
        return ours

    with terminal(monkeypatch) as far:
        monkeypatch.setattr(keyboard, "_ours", whose)
        keys = Keyboard(desk.pins)
        pressed: list[str] = []
        monkeypatch.setattr(keys, "press", pressed.append)
        keys.start()
        ours = False
        os.write(far, b"d")
        wait_for(lambda: looks[-2:] == [False, False], what="the reader to look whose terminal it is")
        assert pressed == []
        ours = True
        wait_for(lambda: looks[-1], what="the reader to see that it is back")
        wait_for(lambda: os.write(far, b"b") and pressed, what="a key, back in the foreground")
        assert set(pressed) == {"b"}, "the other one was the shell's"
        keys.stop()


def test_a_terminal_that_is_hung_up_ends_the_keys_and_nothing_else(
    desk: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    with terminal(monkeypatch) as far:
        keys = Keyboard(desk.pins)
        keys.start()
        os.close(far)
        wait_for(
            lambda: not [each for each in threading.enumerate() if each.name == "keyboard"],
            what="the reader to end",
        )
        keys.stop()
