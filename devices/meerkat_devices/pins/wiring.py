"""All that is wired to a device: its sensors, its lights, and who is told of them.

    meerkat/device/<d>/<sensor>/state        ON | OFF, retained
    meerkat/device/<d>/<button>/press        {"schema": 1, "id": …, "at": …}, not retained
    meerkat/device/<d>/<light>/light/set     {"state": "ON", "brightness": 50}, or ON, OFF; never retained
    meerkat/device/<d>/<light>/light/state   the same, retained
    meerkat/device/<d>/<sensor>/state/set    ON | OFF | PRESS: plays a mock sensor

Lights are dark from the moment the pins are opened, whatever an earlier run left behind.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from meerkat_contract.errors import BadMessage, DeviceError, MeerkatError, UsageError
from meerkat_contract.ids import new_id
from meerkat_contract.messages import ButtonPress, LightInfo, LightState, SensorInfo
from meerkat_contract.session import Incoming, Session
from meerkat_contract.topics import ANY, SettingTopic, ThingTopic
from meerkat_contract.topics import parse as parse_topic
from meerkat_devices.clock import Clock
from meerkat_devices.motion.senses import Senses
from meerkat_devices.settings.device import CameraSettings, DeviceSettings
from meerkat_devices.station import Station

from .board import Board, open_board
from .commands import left_alone, retained, wanted
from .lamp import PinLamp
from .mock import FILE, MockBoard
from .sensor import Sensor

_log = logging.getLogger("meerkat.device")

LONGEST_WAIT = 60.0
"""Seconds; so often a pin that could not be had is tried again, and those of sensors are looked at."""


STUCK_SECONDS = 3600.0
"""A motion sensor that is ON for so long is told as trouble."""


class Pins:
    """`open` first, then `connect` for each camera, then `start`; `close` ends it."""

    def __init__(
        self,
        settings: DeviceSettings,
        folder: Path,
        *,
        station: Station,
        clock: Clock,
        board: Board | None = None,
    ) -> None:
        """`folder` holds what mock pins remember. `board`: pins to use instead of those of the settings."""
        self.mock: MockBoard | None = None
        """The board, where it is one to be played on."""
        self._choice = settings.pins
        self._folder = folder
        self._station = station
        self._clock = clock
        self._board = board
        self._trouble: DeviceError | None = None
        self._news = threading.Event()
        self._told: dict[str, tuple[bool, float]] = {}
        """What each sensor says, and since when (seconds of the monotonic clock)."""
        self._cameras: list[tuple[str, Senses, CameraSettings]] = []
        self._attaching = threading.Lock()
        self._whole = False
        self.sensors = {
            name: Sensor(name, own, clock=clock, news=self._news, said=self._said)
            for name, own in settings.sensors.items()
        }
        self.lamps = {
            name: PinLamp(
                name,
                own,
                clock=clock,
                report=self._report,
                changed=self._lamp_changed,
            )
            for name, own in settings.lights.items()
        }

    # --- life -----------------------------------------------------------------------------------

    def open(self) -> None:
        """Every light off, then the sensors. Never raises: what is missing is reported by `start`."""
        if not self.sensors and not self.lamps:
            return
        try:
            self._board = self._board or self._open_board()
        except DeviceError as error:
            self._trouble = error
        if isinstance(self._board, MockBoard):
            self.mock = self._board
        if self._board is None:
            for lamp in self.lamps.values():
                lamp.missing(self._trouble or left_alone(lamp.name))
            return
        self._whole = self._attach(report=False)

    def connect(self, camera: str, senses: Senses, settings: CameraSettings) -> None:
        """Let a camera hear of its sensors, its button and its lamp."""
        self._cameras.append((camera, senses, settings))

    def start(self, session: Session) -> None:
        """Take commands, and say what is there."""
        if self._trouble:
            self._station.report(self._trouble, about="pins")
        elif self._board is not None:
            things = [f"{thing.name} (GPIO {thing.settings.gpio})" for thing in self._things]
            _log.info("pins: %s; %s", self._board.name, ", ".join(things))
        elif self.sensors or self.lamps:
            _log.info("pins: none; the sensors and lights of this device are left alone")
        for lamp in self.lamps.values():
            self._tell_light(lamp)
        for sensor in self.sensors.values():
            if not sensor.attached and sensor.settings.kind != "button":
                # What an earlier run said is true no more, and no sensor says otherwise.
                self._station.keep(ThingTopic(self._station.name, sensor.name, "state"), b"")
        session.subscribe(SettingTopic(self._station.name, ANY, "light", "set"), self._told_light)
        session.subscribe(SettingTopic(self._station.name, ANY, "state", "set"), self._told_sensor)

    @property
    def threads(self) -> dict[str, Callable[[threading.Event], None]]:
        """What is to be run on threads of their own, by name."""
        if self._board is None:
            return {}
        runs: dict[str, Callable[[threading.Event], None]] = {}
        for lamp in self.lamps.values():  # one each: the watchdog of one cannot keep another's from its work
            runs[f"light {lamp.name}"] = lamp.run
        if self.sensors:
            runs["sensors"] = self.watch_sensors
        if not self._whole:
            runs["pins"] = self.fetch
        return runs

    def close(self) -> None:
        """Every light off, the pins given back, the threads woken. Reports what does not go off."""
        with self._attaching, ExitStack() as stack:  # which closes them all, whatever one of them raises
            board, self._board, self.mock = self._board, None, None
            for thing in reversed((*self._things, *([board] if board else ()))):
                stack.callback(self._close, thing)
        self._news.set()

    def _close(self, thing: PinLamp | Sensor | Board) -> None:
        try:
            thing.close()
        except MeerkatError as error:
            self._station.report(error)

    @property
    def _things(self) -> tuple[PinLamp | Sensor, ...]:
        """The lights first."""
        return (*self.lamps.values(), *self.sensors.values())

    def _open_board(self) -> Board | None:
        if self._choice == "none":
            return None
        return MockBoard(self._folder / FILE) if self._choice == "mock" else open_board()

    def _attach(self, *, report: bool = True) -> bool:
        """Take the pins that are not ours yet, the lights' first; whether there is nothing left to take."""
        whole = True
        with self._attaching:
            for thing in self._things:
                if self._board is None or thing.attached:
                    continue
                about = f"{'light' if isinstance(thing, PinLamp) else 'sensor'} {thing.name}"
                try:
                    if isinstance(thing, PinLamp):
                        self._attach_lamp(self._board, thing)
                    else:
                        self._attach_sensor(self._board, thing)
                except DeviceError as problem:
                    whole = False
                    error = DeviceError(
                        problem.what, where=f"{about}, {problem.where}", remedy=problem.remedy
                    )
                    if isinstance(thing, PinLamp):
                        thing.missing(error)
                    if report:
                        self._station.report(error, about=about)
                else:
                    if report:
                        self._station.well(about)
                        if isinstance(thing, PinLamp):
                            self._tell_light(thing)
        return whole

    def _attach_lamp(self, board: Board, lamp: PinLamp) -> None:
        own = lamp.settings
        hertz = own.pwm_hertz if own.dimmable else None
        lamp.attach(board.output(own.gpio, hertz=hertz, active_high=own.active_high))

    def _attach_sensor(self, board: Board, sensor: Sensor) -> None:
        own = sensor.settings
        samples = own.sample_rate if own.kind == "motion" else None
        pin = board.input(own.gpio, pull=own.resistor, samples=samples, changed=sensor.edge)
        if self.mock and own.kind == "door":  # a desk has no contact that holds it shut
            self.play(sensor.name, on=False)
        sensor.attach(pin)

    # --- threads --------------------------------------------------------------------------------

    def watch_sensors(self, stop: threading.Event) -> None:
        """Tell what the sensors say, until `stop` is set."""
        look_again = self._clock.monotonic() + LONGEST_WAIT
        while not stop.is_set():
            self._news.clear()
            due = min(sensor.work() for sensor in self.sensors.values())
            if self._clock.monotonic() >= look_again:
                look_again = self._clock.monotonic() + LONGEST_WAIT
                self._refresh()
            self._clock.wait(self._news, max(0.0, min(due, look_again) - self._clock.monotonic()))

    def _refresh(self) -> None:
        """Edges can get lost, and pins go wrong without one."""
        for sensor in self.sensors.values():
            about = f"sensor {sensor.name}, pin"
            try:
                sensor.refresh()
            except DeviceError as problem:
                where = f"sensor {sensor.name}, {problem.where}"
                self._station.report(
                    DeviceError(problem.what, where=where, remedy=problem.remedy), about=about
                )
            else:
                self._station.well(about)
            self._tell_stuck(sensor)

    def _tell_stuck(self, sensor: Sensor) -> None:
        """A motion sensor that never falls lets its cameras record without end."""
        if sensor.settings.kind != "motion" or sensor.name not in self._told:
            return
        about = f"sensor {sensor.name}, stuck"
        on, since = self._told[sensor.name]
        if on and self._clock.monotonic() - since >= STUCK_SECONDS:
            self._station.report(
                DeviceError(
                    "has been ON for an hour",
                    where=f"sensor {sensor.name}",
                    remedy="Is it warmed, or shaken? See its wiring, `active` and its sensitivity screw; "
                    "its cameras count all this as motion",
                ),
                about=about,
            )
        else:
            self._station.well(about)

    def fetch(self, stop: threading.Event) -> None:
        """Try for pins that could not be had, until all are there or `stop` is set."""
        while not self._attach():
            if self._clock.wait(stop, LONGEST_WAIT):
                return

    # --- sensors --------------------------------------------------------------------------------

    def _said(self, sensor: Sensor, on: bool) -> None:
        if sensor.settings.kind == "button":
            if on:
                self._pressed(sensor)
            return
        _log.info("%s %s: %s", sensor.settings.kind, sensor.name, "ON" if on else "OFF")
        self._station.keep(ThingTopic(self._station.name, sensor.name, "state"), "ON" if on else "OFF")
        before = self._told.get(sensor.name)
        self._told[sensor.name] = on, self._clock.monotonic()
        if on and sensor.settings.kind == "motion" and before is not None and not before[0]:
            topic = ThingTopic(self._station.name, sensor.name, "triggered")
            self._station.send(topic, b"ON", properties=(), content_type="text/plain")
        for _, senses, settings in self._cameras:
            if sensor.name not in settings.motion.sensors:
                continue
            if sensor.settings.kind != "door":
                senses.hear(sensor.name, on=on)
            elif before is not None:  # it moves as it opens and as it shuts, not while it stands open
                senses.feel()

    def _pressed(self, button: Sensor) -> None:
        _log.info("button %s is pressed", button.name)
        for camera, senses, _ in self._cameras:
            if camera == button.settings.rings:
                senses.ring()
        press = ButtonPress(id=new_id(), at=self._clock.now())
        self._station.send(
            ThingTopic(self._station.name, button.name, "press"),
            press.to_json(),
            properties=(),
            content_type="application/json",
        )
        if self.mock:  # nobody else takes the finger off
            self.play(button.name, on=False)

    def play(self, name: str, *, on: bool | None) -> None:
        """Put a mock sensor ON or OFF; None turns it over. Raises UsageError where there is none."""
        sensor, mock = self.sensors.get(name), self.mock
        if sensor is None or mock is None:
            raise UsageError(
                f"{name} is no sensor that can be played",
                where="pins",
                remedy="Sensors are played with --pins mock, or `pins: mock`",
            )
        if on is None:
            on = not sensor.on
        mock.drive(sensor.settings.gpio, high=on == (sensor.settings.on_level == "high"))

    def _told_sensor(self, message: Incoming) -> None:
        """…/<sensor>/state/set: the network thread's."""
        topic = parse_topic(message.topic)
        assert isinstance(topic, SettingTopic)
        words = {b"ON": True, b"OFF": False, b"PRESS": True}
        try:
            if not message.payload:
                return  # one that was kept is cleared
            if message.retain:
                raise retained(message.topic)
            if message.payload not in words:
                shown = message.payload[:40].decode(errors="replace")
                raise BadMessage(
                    f"{shown!r} is none of ON, OFF, PRESS", where=message.topic, remedy="Send one of them"
                )
            self.play(topic.thing, on=words[message.payload])
        except MeerkatError as error:
            self._station.report(error)

    # --- lights ---------------------------------------------------------------------------------

    def lamp(self, name: str) -> PinLamp:
        """Raises UsageError when there is no lamp of this name."""
        try:
            return self.lamps[name]
        except KeyError:
            there = ", ".join(self.lamps) or "none"
            raise UsageError(
                f"there is no light {name!r}",
                where=f"device {self._station.name}",
                remedy=f"There is {there}",
            ) from None

    def _light_topic(self, name: str, kind: str) -> SettingTopic:
        return SettingTopic(self._station.name, name, "light", kind)

    def _told_light(self, message: Incoming) -> None:
        """…/<light>/light/set: the network thread's."""
        topic = parse_topic(message.topic)
        assert isinstance(topic, SettingTopic)
        try:
            lamp = self.lamp(topic.thing)
            if not message.payload:
                return  # one that was kept is cleared
            if message.retain:
                raise retained(message.topic)
            lamp.set(wanted(message, lamp.settings.brightness))
        except MeerkatError as error:
            self._station.report(error)

    def _lamp_changed(self, lamp: PinLamp) -> None:
        self._tell_light(lamp)
        for _, senses, settings in self._cameras:
            if settings.light and settings.light.name == lamp.name:
                senses.relight()

    def _tell_light(self, lamp: PinLamp) -> None:
        """Nothing is said of a lamp whose pin is not there: nobody knows what it shows."""
        topic = self._light_topic(lamp.name, "state")
        if not lamp.attached and not lamp.closed:
            self._station.keep(topic, b"")
            return
        percent = max(0.1, round(lamp.level * 100, 1)) if lamp.level else 0.0
        state = LightState(state="ON" if lamp.level else "OFF", brightness=percent)
        self._station.keep(topic, state.to_json(), content_type="application/json")

    def _report(self, error: MeerkatError) -> None:
        self._station.report(error)

    # --- info -----------------------------------------------------------------------------------

    @property
    def sensor_infos(self) -> tuple[SensorInfo, ...]:
        """Of the sensors that are there; none where the pins are left alone."""
        if self._choice == "none":
            return ()
        return tuple(
            SensorInfo(
                name=sensor.name,
                label=sensor.settings.label,
                kind=sensor.settings.kind,
                rings=sensor.settings.rings,
            )
            for sensor in self.sensors.values()
        )

    @property
    def light_infos(self) -> tuple[LightInfo, ...]:
        if self._choice == "none":
            return ()
        return tuple(
            LightInfo(
                name=lamp.name,
                label=lamp.settings.label,
                kind=lamp.settings.kind,
                dimmable=lamp.settings.dimmable,
            )
            for lamp in self.lamps.values()
        )
