"""The walk through a new device: its name, the hub, its camera, what is wired to it; then meerkat.yaml."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from meerkat_contract.connection import Connection, parse_broker_url
from meerkat_contract.errors import BrokerError, DeviceError, MeerkatError, UsageError
from meerkat_contract.ids import is_name, slug
from meerkat_contract.neighbourhood import HubNotice
from meerkat_devices import areas
from meerkat_devices.clock import SystemClock
from meerkat_devices.pins.board import Board
from meerkat_devices.settings.address import parse_source
from meerkat_devices.settings.device import CameraSettings
from meerkat_devices.settings.pins import LightSettings, PinChoice, SensorSettings
from meerkat_devices.sources.source import SourceError

from . import connecting, finding, hub_search, trying
from .file import Draft
from .questions import Questions

TRIES = 3
"""At the broker, before it is asked whether to go on without."""

LOGIN = "not authorised"
"""In a broker's refusal: user and password are asked for then, and else the address."""

Settings = TypeVar("Settings", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Wishes:
    """The options; what is None or empty is asked for."""

    config: Path
    pictures: Path
    name: str | None = None
    broker: str | None = None
    cameras: tuple[str, ...] = ()
    sensors: tuple[str, ...] = ()
    lights: tuple[str, ...] = ()
    pins: PinChoice | None = None
    overwrite: bool = False


class Walk:
    """`go` is the whole of it. Nothing is written before its end."""

    def __init__(
        self,
        wishes: Wishes,
        questions: Questions,
        *,
        find_hubs: Callable[[], list[HubNotice]] = hub_search.find_hubs,
        find_cameras: Callable[[], tuple[list[finding.Found], list[str]]] = finding.find_cameras,
        open_pins: Callable[[PinChoice, Path], Board] = trying.open_pins,
    ) -> None:
        self._wishes = wishes
        self._questions = questions
        self._say = questions.say
        self._find_hubs = find_hubs
        self._find_cameras = find_cameras
        self._open_pins = open_pins
        self._clock = SystemClock()
        self._draft = Draft(wishes.config)
        self._page = ""
        self._name = ""

    def go(self) -> None:
        """Raises MeerkatError when something does not work and nobody says to go on without it."""
        self._name = self._device_name()
        self._say()
        self._write_broker(self._broker())
        self._say()
        self._draft.set(("devices", self._name), {})
        camera = self._cameras()
        self._say()
        self._wired(camera)
        self._save()

    # --- its name --------------------------------------------------------------------------------

    def _device_name(self) -> str:
        there = self._draft.get("devices") or {}
        known = next(iter(there)) if isinstance(there, dict) and len(there) == 1 else None
        default = known or slug(platform.node().partition(".")[0] or "device")
        if self._wishes.name:
            return _checked(self._wishes.name, "--name")
        return self._questions.ask("Name of this device", default, option="--name", check=_checked)

    # --- the broker ------------------------------------------------------------------------------

    def _broker(self) -> Connection:
        written = self._draft.get("broker", "url")
        address = self._wishes.broker or written or self._heard()
        given = bool(self._wishes.broker) or self._questions.yes
        refused: BrokerError | None = None
        for _ in range(TRIES):
            login = refused is not None and LOGIN in refused.what
            if not login and not (given and refused is None):
                address = self._questions.ask(
                    "MQTT broker", address, option="--broker", check=parse_broker_url
                )
            if address is None:
                raise UsageError(
                    "no hub was found", where="--broker", remedy="Write --broker mqtt://user:password@host"
                )
            connection = self._known_login(parse_broker_url(address))
            if login:
                connection = self._ask_login(connection)
            refused = self._try_broker(connection)
            if refused is None:
                return connection
        if self._questions.sure("Write it down all the same?", default=False):
            return connection
        raise BrokerError(
            "the broker was not reached", where=connection.url, remedy="Nothing was written; try again"
        )

    def _heard(self) -> str | None:
        self._say("Looking for the hub in the network ...")
        try:
            hubs = self._find_hubs()
        except DeviceError as error:
            self._say(f"  {error}")
            return None
        if not hubs:
            self._say("  None was heard. Is it open to the network (`meerkat up --open-lan`)?")
            return None
        chosen = hubs[0]
        if len(hubs) > 1:
            names = [f"{hub.host} ({hub.addresses[0]})" for hub in hubs]
            chosen = hubs[self._questions.choose("Which hub?", names, default=0)]
        host = hub_search.reachable_as(chosen)
        self._say(f"  Found the hub on {chosen.host}, {chosen.addresses[0]}")
        self._page = chosen.page_at(host)
        return chosen.broker_at(host)

    def _known_login(self, connection: Connection) -> Connection:
        written = self._draft.get("broker", "url")
        elsewhere = written and parse_broker_url(str(written)).host != connection.host
        if connection.username is not None or elsewhere:
            return connection  # one broker's password is none of another's business
        user, password = (self._draft.get("broker", each) for each in ("username", "password"))
        return connecting.with_login(connection, str(user or ""), str(password or ""))

    def _ask_login(self, connection: Connection) -> Connection:
        default = connection.username or f"device-{self._name}"
        self._say("  `meerkat up` has a user for each device: its password is in connections.json there")
        user = self._questions.ask("User there", default, option="--broker")
        password = self._questions.ask("Password", "", option="--broker", hidden=True)
        return connecting.with_login(connection, user, password or connection.password or "")

    def _try_broker(self, connection: Connection) -> BrokerError | None:
        """Why it does not let us in. Raises that where there is nobody to ask again."""
        ca_file = self._draft.get("broker", "ca_file")
        try:
            hub = connecting.try_broker(replace(connection, ca_file=Path(ca_file)) if ca_file else connection)
        except BrokerError as error:
            if self._questions.yes:
                raise
            self._say(f"  {error}")
            return error
        there = "and the hub is online" if hub else "but no hub is there yet: clips wait until one is"
        self._say(f"  {connection.url} lets this device in, {there}")
        return None

    def _write_broker(self, connection: Connection) -> None:
        bare = replace(connection, username=None, password=None)
        values = {"url": bare.url, "username": connection.username, "password": connection.password}
        known = self._draft.get("broker", "url")
        if known and parse_broker_url(str(known)) == connection:
            return  # it is written already, in its own way
        for key, value in values.items():
            if value is not None:
                self._draft.set(("broker", key), value)
            else:
                self._draft.drop(("broker", key))

    # --- cameras ---------------------------------------------------------------------------------

    def _cameras(self) -> CameraSettings | None:
        """The first one, to see lamps with."""
        chosen = dict(_pair(each, "--camera") for each in self._wishes.cameras)
        written = self._draft.get("devices", self._name, "cameras") or {}
        if not chosen and not written:
            chosen = self._choose_camera()
        for name, source in chosen.items():
            _checked(name, "--camera")
            self._draft.set(("devices", self._name, "cameras", name, "source"), source)
        first = None
        for name, own in (self._draft.get("devices", self._name, "cameras") or {}).items():
            settings = _model(CameraSettings, own, f"camera {name}")
            if self._try_camera(str(name), settings):
                first = first or settings
        return first

    def _choose_camera(self) -> dict[str, str]:
        self._say("Cameras of this machine:")
        found, troubles = self._find_cameras()
        for trouble in troubles:
            self._say(f"  {trouble}")
        choices = [*map(str, found), "a camera in the network", "none"]
        if self._questions.yes and not found:
            if self._wishes.sensors or self._wishes.lights:
                return {}
            raise UsageError(
                "no camera was found", where="--camera", remedy="Name one: --camera front=rtsp://…"
            )
        number = self._questions.choose("Which one?", choices, default=0)
        if number == len(found) + 1:
            return {}
        if number == len(found):
            example = "Its address, such as rtsp://user:password@192.168.1.20/stream"
            source = self._questions.ask(example, option="--camera", check=parse_source)
        else:
            source = found[number].source
        name = self._questions.ask("What is it called?", "camera", option="--camera", check=_checked)
        return {name: source}

    def _try_camera(self, name: str, settings: CameraSettings) -> bool:
        """Whether there is a picture of it. Raises SourceError where nobody says to go on without."""
        address = parse_source(settings.source, where=f"camera {name}")
        self._say(f"A picture of {name}, {address} ...")
        file = self._wishes.pictures / f"meerkat-{name}.jpg"
        try:
            self._say(f"  {trying.save(areas.shoot(name, settings), file)}. Look at it: {file.absolute()}")
        except SourceError as error:
            self._go_on_without(error)
            return False
        return True

    # --- what is wired ---------------------------------------------------------------------------

    def _wired(self, camera: CameraSettings | None) -> None:
        base = ("devices", self._name)
        if self._wishes.pins:
            self._draft.set((*base, "pins"), self._wishes.pins)
        self._add_pins("sensors", self._wishes.sensors, "a motion sensor (PIR)", "pir", {"kind": "motion"})
        self._add_pins("lights", self._wishes.lights, "a lamp", "lamp", {})
        sensors = self._draft.get(*base, "sensors") or {}
        lights = self._draft.get(*base, "lights") or {}
        choice: PinChoice = self._draft.get(*base, "pins") or "auto"
        if choice == "none" or not (sensors or lights):
            return
        with tempfile.TemporaryDirectory(prefix="meerkat-init-") as folder:
            try:
                board = self._open_pins(choice, Path(folder))
            except DeviceError as error:
                self._go_on_without(error)
                return
            try:
                for name, own in lights.items():
                    self._try_lamp(board, str(name), _model(LightSettings, own, f"light {name}"), camera)
                for name, own in sensors.items():
                    self._try_sensor(board, str(name), _model(SensorSettings, own, f"sensor {name}"))
            finally:
                board.close()

    def _add_pins(
        self, section: str, wanted: tuple[str, ...], what: str, usual: str, more: dict[str, Any]
    ) -> None:
        option = {"sensors": "--pir", "lights": "--light"}[section]
        chosen = dict(_pair(each, option) for each in wanted)
        path = ("devices", self._name, section)
        if not chosen and not self._draft.get(*path):
            gpio = self._questions.ask(f"GPIO of {what}, or nothing", "", option=option, check=_gpio_or_none)
            chosen = {usual: gpio} if gpio else {}
        for name, gpio in chosen.items():
            _checked(name, option)
            _gpio_or_none(gpio, option)
            self._draft.set((*path, name), {**more, "gpio": int(gpio)})

    def _try_lamp(
        self, board: Board, name: str, settings: LightSettings, camera: CameraSettings | None
    ) -> None:
        if camera is None:
            self._say(f"Lamp {name} (GPIO {settings.gpio}): without a camera nothing sees whether it lights")
            return
        self._say(f"Lamp {name} (GPIO {settings.gpio}): a picture without it, and one with it ...")
        try:
            shoot = lambda: areas.shoot(name, camera)  # noqa: E731 - it is what it says
            dark, lit = trying.try_lamp(board, settings, shoot, self._clock)
            file = self._wishes.pictures / f"meerkat-{name}.jpg"
            trying.save(lit, file)
            self._say(f"  {trying.lamp_verdict(dark, lit)}. Look at it: {file.absolute()}")
        except (DeviceError, SourceError) as error:
            self._go_on_without(error)

    def _try_sensor(self, board: Board, name: str, settings: SensorSettings) -> None:
        what = {"motion": "wave at it", "door": "open it", "button": "press it"}[settings.kind]
        if self._questions.yes:
            self._say(f"Sensor {name} (GPIO {settings.gpio}): not tried, for --yes waits for nobody")
            return
        self._say(f"Sensor {name} (GPIO {settings.gpio}): {what} ...")
        try:
            after = trying.try_sensor(board, settings, self._clock)
        except DeviceError as error:
            self._go_on_without(error)
            return
        if after is None:
            self._say(
                f"  not seen within {trying.WAVE_SECONDS:g} s. Look at the wiring and the GPIO's number"
            )
        else:
            self._say(f"  seen after {after:.1f} s")

    # --- the end ---------------------------------------------------------------------------------

    def _go_on_without(self, error: MeerkatError) -> None:
        """Raises the error unless the person wants it written all the same."""
        if self._questions.yes:
            raise error
        self._say(f"  {error}")
        if not self._questions.sure("Write it down all the same?", default=False):
            raise error

    def _save(self) -> None:
        file, draft = self._wishes.config, self._draft
        if draft.changes and not self._wishes.overwrite:
            self._say()
            self._say(f"{file} says otherwise:")
            for change in draft.changes:
                self._say(f"  {change}")
            if not self._questions.sure("Change it?", default=False):
                raise UsageError(
                    "nothing was written", where=str(file), remedy="Say --overwrite, or name another file"
                )
        draft.save()
        self._say()
        note = " It holds a password: only its owner can read it." if draft.secret else ""
        self._say(f"Written: {file}.{note}")
        if file.absolute() == Path("/etc/meerkat/meerkat.yaml"):
            self._say("Start it:   sudo systemctl restart meerkat-device")
            self._say("Follow it:  journalctl -fu meerkat-device")
        else:
            self._say(f"Start it:   meerkat device --name {self._name} --config {file}")
        if self._page:
            self._say(f"The page:   {self._page}")


def _checked(name: str, where: str = "") -> str:
    if is_name(name):
        return name
    try:
        remedy = f"Write {slug(name)!r}"
    except ValueError:
        remedy = "Use a-z, 0-9, '-' and '_'"
    raise UsageError(f"{name!r} cannot be a name", where=where, remedy=remedy)


def _gpio_or_none(text: str, where: str = "") -> None:
    if text and not (text.isdecimal() and int(text) <= 27):
        raise UsageError(f"{text!r} is no GPIO", where=where, remedy="Write its number, 0 to 27")


def _pair(option: str, where: str) -> tuple[str, str]:
    name, equals, value = option.partition("=")
    if not equals or not value:
        raise UsageError(f"{option!r} has no name or no value", where=where, remedy=f"Write {where} name=…")
    return name, value


def _model(model: type[Settings], value: Any, where: str) -> Settings:
    """The settings of one thing. Raises UsageError that says what is wrong with them."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        said = "; ".join(
            f"{'.'.join(map(str, each['loc']))}: {each['msg']}".removeprefix(": ") for each in error.errors()
        )
        raise UsageError(said, where=where, remedy="Mend it in the file, or choose another") from None
