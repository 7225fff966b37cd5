"""Settings that can change while the device runs.

    meerkat/device/<d>/<thing>/<setting>/set      a command, not retained
    meerkat/device/<d>/<thing>/<setting>/state    what is in force, retained

Whoever has something to be set offers it:

    tuning.offer("front", SettingInfo(name="sensitivity", kind="number", …), get=…, set_=…)

What is set counts at once and is on the disk before its state is published, so it outlives a restart.
It counts instead of meerkat.yaml's value until that value itself is changed; `default`, or nothing, as the
payload takes it back. What cannot be set is an error report, and changes nothing.

Commands are worked off one after another on a thread of their own: the disk may be slow.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from meerkat_contract.errors import BadMessage, MeerkatError, StorageError
from meerkat_contract.messages import SettingInfo
from meerkat_contract.session import Incoming
from meerkat_contract.setting_values import DEFAULT, Value, parse, payload
from meerkat_contract.topics import ANY, SettingTopic
from meerkat_contract.topics import parse as parse_topic
from meerkat_devices.station import Station

from .file import Override, Overrides, TuningFile

_log = logging.getLogger("meerkat.device")

DEVICE = "device"
"""The thing under which settings of the device itself are."""

OF_PINS = frozenset(("light", "state"))
"""Settings of whose every command the pins hear, also where there is no such thing."""


@dataclass(frozen=True, slots=True)
class _Offer:
    thing: str
    info: SettingInfo
    get: Callable[[], Value]
    set_: Callable[[Value], None]
    lasting: bool
    own: Value
    """What meerkat.yaml says; it need not lie within the bounds of `info`, which may be a slider's."""
    configured: str
    """The same as a payload."""


class Tuning:
    """`offer` and `restore` before `run`; `told` on the network thread, `tell` on any."""

    def __init__(self, file: Path, *, station: Station) -> None:
        self._station = station
        self._file = TuningFile(file)
        self._offers: dict[tuple[str, str], _Offer] = {}
        self._left: set[tuple[str, str]] = set()
        self._overrides: Overrides = {}
        self._commands: queue.SimpleQueue[tuple[_Offer, bytes] | None] = queue.SimpleQueue()

    @property
    def topic(self) -> SettingTopic:
        """The filter of all commands, to be subscribed with `told`."""
        return SettingTopic(self._station.name, ANY, ANY, "set")

    def offer(
        self,
        thing: str,
        info: SettingInfo,
        *,
        get: Callable[[], Value],
        set_: Callable[[Value], None],
        lasting: bool = True,
    ) -> None:
        """Let a setting of `thing` be changed; `get` is asked at once for meerkat.yaml's value.

        `set_` gets a value within the bounds and applies it at once; it may raise MeerkatError, which
        leaves everything as it was. A button's gets None. Both may be called on any thread. What is not
        `lasting` (a recording by hand) is not kept over a restart; buttons never are.
        """
        key = (thing, info.name)
        if key in self._offers:
            raise ValueError(f"{thing}/{info.name} is offered twice")
        own = None if info.kind == "button" else get()
        configured = "" if info.kind == "button" else payload(info, own)
        lasting = lasting and info.kind != "button"
        self._offers[key] = _Offer(thing, info, get, set_, lasting, own, configured)

    def leave(self, thing: str, setting: str) -> None:
        """Another part of the device listens for these commands by itself."""
        self._left.add((thing, setting))

    def infos(self, thing: str) -> tuple[SettingInfo, ...]:
        """What can be set of a thing, in the order in which it was offered."""
        return tuple(offer.info for (of, _), offer in self._offers.items() if of == thing)

    # --- life -----------------------------------------------------------------------------------

    def restore(self) -> None:
        """Apply what was set before the last end, and say so; then publish every state."""
        try:
            self._overrides = self._file.load()
        except StorageError as error:
            self._station.report(error)
        forgotten = [
            name
            for name, offer in self._offers.items()
            if (override := self._overrides.get(offer.thing, {}).get(offer.info.name))
            and not self._restored(offer, override)
        ]
        if forgotten:
            for thing, name in forgotten:
                del self._overrides[thing][name]
            self._keep()
        for thing, name in self._offers:
            self.tell(thing, name)

    def _restored(self, offer: _Offer, override: Override) -> bool:
        """Whether what was set still counts."""
        topic = self._topic(offer, "set")
        if override.instead != offer.configured:
            _log.info(
                "%s %s is %s, as meerkat.yaml says since it was changed; %s, set before, no longer counts",
                offer.thing,
                offer.info.name,
                offer.configured,
                override.value,
            )
            return False
        try:
            offer.set_(parse(offer.info, override.value.encode(), where=str(topic)))
        except MeerkatError as error:
            self._station.report(error)
            return False
        _log.info(
            "%s %s is %s, set at run time; meerkat.yaml says %s: send default to %s to undo it",
            offer.thing,
            offer.info.name,
            override.value,
            override.instead,
            topic,
        )
        return True

    def told(self, message: Incoming) -> None:
        """A message on `topic`."""
        topic = parse_topic(message.topic)
        assert isinstance(topic, SettingTopic)
        offer = self._offers.get((topic.thing, topic.setting))
        if offer is None:
            self._unknown(topic)
        elif message.retain:
            if message.payload:
                self._station.report(_retained(message.topic))
        else:
            self._commands.put((offer, message.payload))

    def run(self, stop: threading.Event) -> None:
        """Work off commands until `end`."""
        while not stop.is_set():
            command = self._commands.get()
            if command is None:
                return
            try:
                self._obey(*command)
            except MeerkatError as error:
                self._station.report(error)

    def end(self) -> None:
        self._commands.put(None)

    # --- what is set ----------------------------------------------------------------------------

    def _obey(self, offer: _Offer, data: bytes) -> None:
        """Apply, keep, tell. Raises MeerkatError when it cannot be set, or not be kept."""
        where = str(self._topic(offer, "set"))
        button = offer.info.kind == "button"
        back = data in DEFAULT and not button
        value = offer.own if back else parse(offer.info, data, where=where)
        try:
            offer.set_(value)
        except MeerkatError as error:
            raise type(error)(error.what, where=error.where or where, remedy=error.remedy) from error
        if button:
            return
        now = payload(offer.info, value)
        _log.info("%s %s: %s%s", offer.thing, offer.info.name, now, ", as in meerkat.yaml" if back else "")
        try:
            if offer.lasting:
                self._remember(offer, now)
        finally:
            self.tell(offer.thing, offer.info.name)

    def _remember(self, offer: _Offer, now: str) -> None:
        """Raises StorageError."""
        mine = self._overrides.setdefault(offer.thing, {})
        before = mine.get(offer.info.name)
        if now == offer.configured:
            mine.pop(offer.info.name, None)
        else:
            mine[offer.info.name] = Override(value=now, instead=offer.configured)
        if before != mine.get(offer.info.name):
            self._file.save(self._overrides)

    def _keep(self) -> None:
        try:
            self._file.save(self._overrides)
        except StorageError as error:
            self._station.report(error)

    def tell(self, thing: str, name: str) -> None:
        """Publish what is in force, also when it has changed by itself."""
        offer = self._offers[thing, name]
        if offer.info.kind != "button":
            self._station.keep(self._topic(offer, "state"), payload(offer.info, offer.get()))

    def _topic(self, offer: _Offer, kind: str) -> SettingTopic:
        return SettingTopic(self._station.name, offer.thing, offer.info.name, kind)

    def _unknown(self, topic: SettingTopic) -> None:
        if topic.setting in OF_PINS or (topic.thing, topic.setting) in self._left:
            return
        names = [name for thing, name in (*self._offers, *sorted(self._left)) if thing == topic.thing]
        remedy = f"It has {', '.join(names)}" if names else "Settings are those of " + ", ".join(self._things)
        self._station.report(
            BadMessage(f"{topic.thing} has no setting {topic.setting}", where=str(topic), remedy=remedy)
        )

    @property
    def _things(self) -> list[str]:
        return list(dict.fromkeys(thing for thing, _ in self._offers))


def _retained(topic: str) -> BadMessage:
    return BadMessage(
        "a retained command is ignored: it would undo at each start what was set since",
        where=topic,
        remedy="Send it without the retain flag. An empty retained message clears this one, and takes the "
        "setting back to meerkat.yaml's value",
    )
