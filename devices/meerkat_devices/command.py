"""`meerkat device`: the cameras and meters of one machine."""

from __future__ import annotations

import logging
import os
import platform
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from meerkat_contract.errors import MeerkatError, UsageError
from meerkat_contract.ids import is_name, slug
from meerkat_contract.signals import told

from .glance_command import try_command
from .setup.command import init

if TYPE_CHECKING:
    from .pins.keyboard import Keyboard
    from .running.systemd import Attendance
    from .service import Device
    from .settings.device import DeviceSettings, DevicesSettings
    from .settings.pins import PinChoice
    from .settings.sleep import SleepSettings


@click.group(invoke_without_command=True)
@click.option("--name", metavar="NAME", help="Name of this device; the host's name by default.")
@click.option(
    "--camera",
    "cameras",
    metavar="NAME=SOURCE",
    multiple=True,
    help="A camera: a file, rtsp://user:password@host/path, a USB camera's number, picamera, scene:porch.",
)
@click.option("--meter", "meters", metavar="NAME=SOURCE", multiple=True, help="A meter, pictured every hour.")
@click.option("--loop", is_flag=True, help="Replay files again and again.")
@click.option(
    "--fast",
    is_flag=True,
    help="Replay as quickly as possible; ends when the hub has everything (no --loop).",
)
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="The data folder.")
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False), help="meerkat.yaml")
@click.option("--broker", metavar="URL", help="mqtt[s]://[user:password@]host[:port]")
@click.option(
    "--pins",
    type=click.Choice(["auto", "mock", "none"]),
    help="mock: play the sensors by keys or MQTT, without hardware.",
)
@click.option("--hand-over", is_flag=True, hidden=True, help="Only what lies in the outbox; needs no camera.")
@click.pass_context
def device(
    ctx: click.Context,
    *,
    name: str | None,
    cameras: tuple[str, ...],
    meters: tuple[str, ...],
    loop: bool,
    fast: bool,
    hand_over: bool,
    data: Path | None,
    config: Path | None,
    broker: str | None,
    pins: PinChoice | None,
) -> None:
    """Watch cameras and meters, and hand what they see to the hub.

    Cameras and meters of the section `devices` of meerkat.yaml are taken too; --camera and --meter
    add to them or replace one of the same name.
    """
    from .running.machine import need_64_bits

    need_64_bits()
    if ctx.invoked_subcommand is not None:
        return  # it has options of its own
    from meerkat_contract.configfile import section
    from meerkat_contract.connection import BrokerSettings, default_data_folder, find_connection

    from .settings.device import DevicesSettings

    devices = section(config, "devices", DevicesSettings)
    name = _device_name(name, devices)
    settings = _with_options(name, devices, cameras, meters, empty=hand_over)
    if pins is not None:
        settings = settings.model_copy(update={"pins": pins})
    folder = data or default_data_folder()
    connection = find_connection(
        f"device-{name}", broker=broker, data=folder, settings=section(config, "broker", BrokerSettings)
    )

    from .running.errands import is_looked_after
    from .service import Device, Replay

    # Lines on standard error, unless the program that called us has set up its own.
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    replay = Replay(pace="fast" if fast else "own", loop=loop)

    def wake(restart: Callable[[], None]) -> Device:
        again = restart if is_looked_after() else None
        return Device(name, settings, connection, folder, replay=replay, restart=again)

    own, status = _live(wake, settings.sleep)
    if own.hangs:
        _leave(own.failed, status)
    if own.failed:
        raise own.failed
    if status:
        sys.exit(status)


def _device_name(name: str | None, devices: DevicesSettings) -> str:
    """The option, else the only device of meerkat.yaml, or the one of the host's name, else that."""
    if name is None:
        host = slug(platform.node().partition(".")[0] or "device")
        if len(devices.root) > 1 and host in devices.root:
            return host
        if len(devices.root) > 1:
            raise UsageError(
                f"meerkat.yaml has {len(devices.root)} devices",
                where="--name",
                remedy="Say which one this is: " + ", ".join(sorted(devices.root)),
            )
        return next(iter(devices.root), None) or host
    return _checked_name(name, "--name")


def _checked_name(name: str, where: str) -> str:
    if is_name(name):
        return name
    try:
        remedy = f"Write {slug(name)!r}"
    except ValueError:
        remedy = "Use letters a-z, digits, '-' and '_'"
    raise UsageError(f"{name!r} cannot be a name", where=where, remedy=remedy)


def _with_options(
    name: str,
    devices: DevicesSettings,
    cameras: tuple[str, ...],
    meters: tuple[str, ...],
    *,
    empty: bool = False,
) -> DeviceSettings:
    """The device's settings of meerkat.yaml with the options' cameras and meters. Raises UsageError.

    `empty`: it may have neither.
    """
    from .settings.device import CameraSettings, DeviceSettings, MeterSettings

    settings = devices.root.get(name) or DeviceSettings()
    all_cameras = dict(settings.cameras)
    for option in cameras:
        camera, source = _name_and_source(option, "--camera")
        known = all_cameras.get(camera)
        all_cameras[camera] = (
            known.model_copy(update={"source": source}) if known else CameraSettings(source=source)
        )
    all_meters = dict(settings.meters)
    for option in meters:
        meter, source = _name_and_source(option, "--meter")
        reading = all_meters.get(meter)
        all_meters[meter] = (
            reading.model_copy(update={"source": source}) if reading else MeterSettings(source=source)
        )
    if both := sorted(all_cameras.keys() & all_meters.keys()):
        raise UsageError(f"{both[0]!r} names both a camera and a meter", where="--meter", remedy="Rename one")
    if not (all_cameras or all_meters or settings.sensors or settings.lights or empty):
        raise UsageError(
            f"device {name!r} has neither camera nor meter",
            where="meerkat device",
            remedy="Name one, --camera porch=rtsp://… or --camera porch=video.mp4, or write meerkat.yaml",
        )
    sources = {thing: own.source for things in (all_cameras, all_meters) for thing, own in things.items()}
    if len(sources) == 1 and (cameras or meters):
        _check_only_file(*sources.popitem())
    return settings.model_copy(update={"cameras": all_cameras, "meters": all_meters})


def _check_only_file(thing: str, source: str) -> None:
    """A mistyped file is told at once where it is all there is to do.

    Everything else that is not there may come yet: it is reported and tried again, and the rest goes on.
    """
    from .settings.address import check_exists, parse_source

    address = parse_source(source)
    if address.kind == "file":
        check_exists(address, where=f"{thing}={address}")


def _name_and_source(option: str, where: str) -> tuple[str, str]:
    from .settings.address import parse_source

    name, equals, source = option.partition("=")
    if not equals or "://" in name:
        raise UsageError(
            "has no name", where=where, remedy=f"Write {where} porch=… with a name before the source"
        )
    _checked_name(name, where)
    parse_source(source, where=f"{where} {name}")
    return name, source


def _leave(failed: MeerkatError | None, status: int = 0) -> NoReturn:
    """End without Python's own ending, which would take a thread apart inside a library.

    A daemon thread that comes back from C++ while Python ends (OpenCV, at any call) is ended where it
    stands, and the library's runtime answers with `terminate called` and an abort.
    """
    if failed:
        click.echo(f"error: {failed}", err=True)
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(failed.exit_status if failed else status)


def _live(wake: Callable[[Callable[[], None]], Device], settings: SleepSettings | None) -> tuple[Device, int]:
    """Until a signal comes or the replay is handed over; one that sleeps wakes as a new device each time.

    `wake` gets what is to be called to end this program so that it is started again. Returns the last device,
    which has ended, and the exit status.
    """
    from .running.errands import RESTART_STATUS
    from .running.systemd import Attendance

    asked, restart = threading.Event(), threading.Event()

    def again() -> None:
        restart.set()
        asked.set()

    ends = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # its terminal is closed; `nohup` ignores that
        ends.append(signal.SIGHUP)
    attendance = Attendance()
    with told(ends, lambda _number: asked.set()):
        try:
            own = wake(again)
            while _run(own, asked, attendance) and settings:
                from .clock import SystemClock
                from .sleep.sleeper import say_offline, sleep

                trouble = sleep(settings, own.next_wake, clock=SystemClock(), stop=asked)
                if asked.is_set():
                    if (
                        trouble or not settings.command
                    ):  # else it is the command that switches the machine off
                        say_offline(own.session.connection, own.name)
                    break
                own = wake(again)
                if trouble:
                    own.report(trouble)
            return own, RESTART_STATUS if restart.is_set() else 0
        finally:
            attendance.end()


def _run(own: Device, asked: threading.Event, attendance: Attendance) -> bool:
    """Until it is asked to end, or has finished; whether it has."""
    keyboard = _keyboard(own)
    look = 0.1 if own.replay.pace == "fast" else 0.25 if own.settings.sleep else None
    finished = False
    try:
        own.start()
        if keyboard:
            keyboard.start()
        attendance.started(own)
        while not finished and not asked.wait(look):
            finished = own.finished
    finally:
        asleep = finished and own.settings.sleep is not None
        attendance.ending(asleep=asleep)
        own.stop(asleep=asleep)
        if keyboard:
            keyboard.stop()
    return finished


def _keyboard(own: Device) -> Keyboard | None:
    """Keys for mock sensors."""
    if not own.pins.mock:
        return None
    from .pins.keyboard import Keyboard

    return Keyboard(own.pins)


device.add_command(init)
device.add_command(try_command)


@device.command("lights-off")
@click.option("--name", metavar="NAME", help="Name of the device; the only one of meerkat.yaml by default.")
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="The data folder.")
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False), help="meerkat.yaml")
@click.option("--pins", type=click.Choice(["auto", "mock", "none"]), help="Instead of those of meerkat.yaml.")
def lights_off_command(
    *, name: str | None, data: Path | None, config: Path | None, pins: PinChoice | None
) -> None:
    """Switch every light of a device off; for when the device itself was killed.

    While the device runs it holds the pins, and this says so.
    """
    from meerkat_contract.configfile import section
    from meerkat_contract.connection import default_data_folder

    from .pins.lights_off import lights_off
    from .settings.device import DevicesSettings

    devices = section(config, "devices", DevicesSettings)
    name = _device_name(name, devices)
    own = devices.root.get(name)
    if own is None and devices.root:
        raise UsageError(
            f"there is no device {name!r} in meerkat.yaml",
            where="--name",
            remedy="There is " + ", ".join(sorted(devices.root)),
        )
    lights = own.lights if own else {}
    choice = pins or (own.pins if own else "none")
    done = lights_off(lights, choice, (data or default_data_folder()) / "devices" / name)
    click.echo(f"off: {', '.join(done)}" if done else f"device {name} has no light to switch off")


@device.command("areas")
@click.argument("camera")
@click.option("--name", metavar="NAME", help="Name of the device; the only one of meerkat.yaml by default.")
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False), help="meerkat.yaml")
@click.option(
    "--picture",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Draw on this one; nothing is asked of the camera.",
)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="areas-CAMERA.jpg by default.")
def areas_command(
    *, camera: str, name: str | None, config: Path | None, picture: Path | None, out: Path | None
) -> None:
    """Draw a grid, masks, zones and the region over a picture of a camera.

    Coordinates are fractions of the picture: read them off the grid.
    """
    from meerkat_contract.configfile import section

    from .settings.device import DeviceSettings, DevicesSettings

    devices = section(config, "devices", DevicesSettings)
    name = _device_name(name, devices)
    cameras = (devices.root.get(name) or DeviceSettings()).cameras
    if camera not in cameras:
        raise UsageError(
            f"device {name!r} has no camera {camera!r}",
            where="meerkat.yaml",
            remedy=f"It has {', '.join(sorted(cameras))}" if cameras else "Write one into devices",
        )
    from . import areas

    settings = cameras[camera]
    shown = areas.load(picture) if picture else areas.shoot(camera, settings)
    file = out or Path(f"areas-{camera}.jpg")
    areas.save(areas.draw(shown, settings), file)
    click.echo(f"{file}: {areas.describe(shown, settings)}")
