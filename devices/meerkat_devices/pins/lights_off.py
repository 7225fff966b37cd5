"""Switch off every light of a device: what is left to do when the device itself was killed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from meerkat_contract.errors import DeviceError
from meerkat_devices.settings.pins import LightSettings, PinChoice

from .board import Board, open_board
from .mock import FILE, MockBoard


def lights_off(lights: Mapping[str, LightSettings], choice: PinChoice, folder: Path) -> list[str]:
    """Names of the lights that are off now; none where the pins are left alone.

    `folder`: the device's, for mock pins. Raises DeviceError that names what could not be switched off,
    after all the others were.
    """
    if not lights or choice == "none":
        return []
    board = MockBoard(folder / FILE) if choice == "mock" else open_board()
    done: list[str] = []
    failed: list[tuple[str, DeviceError]] = []
    try:
        for name, light in lights.items():
            try:
                _switch_off(board, light)
                done.append(name)
            except DeviceError as error:
                failed.append((name, error))
    finally:
        board.close()
    if failed:
        (name, first), *others = failed
        more = f"; nor {', '.join(other for other, _ in others)}" if others else ""
        raise DeviceError(
            f"is not switched off: {first.what}{more}",
            where=f"light {name}, {first.where}",
            remedy=first.remedy,
        )
    return done


def _switch_off(board: Board, light: LightSettings) -> None:
    hertz = light.pwm_hertz if light.dimmable else None
    output = board.output(light.gpio, hertz=hertz, active_high=light.active_high)
    try:
        output.write(0.0)
    finally:
        output.close()
