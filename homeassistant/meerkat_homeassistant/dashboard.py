"""A dashboard for the cameras, meters and machines of this very house: `meerkat ha dashboard`.

Made of what discovery tells, so that it follows every entity there is. Two views of sections: the house,
with a section for each camera and each meter; and the machines behind it. Only cards that Home Assistant
has by itself. What is disabled at first is left out, since a card of it would be an error; so are settings,
which have their place on the device's page.

A section has twelve columns. On a desktop sections stand side by side, on a phone one below the other.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .check.payload import Component, Message
from .discovery.payloads import HUB, WORKERS

Card = dict[str, Any]

COLUMNS = 3
"""Sections side by side on a wide screen."""

_HALF = {"columns": 6, "rows": 1}
_WHOLE = {"columns": 12, "rows": 1}
_PICTURE = {"columns": 12, "rows": "auto"}
_TREND = {"columns": 6, "rows": 2}
_DAYS = 14

_COUNTED = {"total", "total_increasing"}
_METERED = {"energy", "gas", "volume", "water"}
_ALARMS = {"connectivity": "off", "moisture": "on", "problem": "on"}
"""Device classes of a binary sensor that are worth a badge, and the state in which they are."""

_ASKS = {
    "STOP": "Stop the cloud burst? Machines in the cloud end at once, and what is out is looked at at home. "
    "Nothing goes out until it is switched on again."
}
"""What is asked before a button is pressed, by what pressing it sends: these cannot be taken back."""


@dataclass(frozen=True)
class _Thing:
    """A device or child device with the entities of it that can be shown."""

    name: str
    identity: str
    entities: tuple[Component, ...]
    page: str = ""
    """Address of the hub's page."""
    child: bool = False
    parent: str = ""
    """Name of the device that it hangs on."""

    def of(self, *platforms: str) -> list[Component]:
        return [one for one in self.entities if one.platform in platforms]

    @property
    def is_camera(self) -> bool:
        return bool(self.of("camera"))

    @property
    def is_meter(self) -> bool:
        return bool(self.readings) or (bool(self.of("image")) and not self.is_camera)

    @property
    def presence(self) -> list[Component]:
        """Whether it is there."""
        return [one for one in self.of("binary_sensor") if _kind(one) == "connectivity"]

    @property
    def readings(self) -> list[Component]:
        return [
            one
            for one in self.of("sensor")
            if one.all.get("state_class") in _COUNTED and one.all.get("device_class") in _METERED
        ]


def dashboard(messages: Sequence[Message], *, title: str = "Meerkat") -> dict[str, Any]:
    """The configuration of a dashboard, as Home Assistant's raw configuration editor takes it."""
    things = [thing for message in messages for thing in _things(message)]
    machines = [thing for thing in things if not thing.child]
    machines.sort(key=lambda one: (one.identity != HUB, one.identity.startswith(WORKERS), one.name))
    children = _told_apart([thing for thing in things if thing.child])
    house = [
        *(_camera(thing) for thing in children if thing.is_camera),
        *(_meter(thing) for thing in children if thing.is_meter),
    ]
    if rest := [thing for thing in children if not thing.is_camera and not thing.is_meter]:
        house.append(_rest(rest))
    views = []
    if house:
        views.append(_view("House", "house", "mdi:home", house, _alarms(things)))
    if machines:
        views.append(_view("Machines", "machines", "mdi:chip", list(_machines(machines)), []))
    return {"title": title, "views": views}


def to_yaml(config: dict[str, Any]) -> str:
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.indent(mapping=2, sequence=4, offset=2)
    out = io.StringIO()
    yaml.dump(_quoted(config), out)
    return out.getvalue()


def _quoted(value: Any) -> Any:
    """A copy, so that nothing is there twice and becomes an anchor; with "on" and "off" in quotes.

    Home Assistant's files are YAML 1.1, where these two words are true and false.
    """
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString

    if isinstance(value, dict):
        return {key: _quoted(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_quoted(item) for item in value]
    return DoubleQuotedScalarString(value) if value in ("on", "off") else value


def entities(config: Any) -> Iterator[str]:
    """Every entity id that a dashboard names, as often as it does."""
    if isinstance(config, dict):
        for key, value in config.items():
            if key in ("entity", "entity_id") and isinstance(value, str):
                yield value
            elif key == "entities" and isinstance(value, list):
                yield from (one for one in value if isinstance(one, str))
            yield from entities(value)
    elif isinstance(config, list):
        for item in config:
            yield from entities(item)


# --- what there is ------------------------------------------------------------------------------


def _things(message: Message) -> Iterator[_Thing]:
    """The device itself, then its child devices in the order in which they are told."""
    page = str(message.about.get("configuration_url", ""))
    groups: dict[tuple[str, ...], list[Component]] = {}
    for component in message.components:
        if component.identifiers and _shown(component):
            groups.setdefault(component.identifiers, []).append(component)
    for identity, found in groups.items():
        yield _Thing(found[0].device, identity[0], tuple(found), page, found[0].child, message.device)


def _told_apart(things: Sequence[_Thing]) -> list[_Thing]:
    """Two that are called the same get their devices' names before their own."""
    many = Counter(thing.name for thing in things)
    return [
        replace(thing, name=f"{thing.parent} {thing.name}") if many[thing.name] > 1 else thing
        for thing in things
    ]


def _shown(component: Component) -> bool:
    options = component.all
    return (
        isinstance(options.get("default_entity_id"), str)
        and options.get("enabled_by_default", True) is not False
        and options.get("entity_category") != "config"
    )


def _id(component: Component) -> str:
    return str(component.all["default_entity_id"])


def _kind(component: Component) -> str:
    return str(component.all.get("device_class") or "")


# --- views and sections -------------------------------------------------------------------------


def _view(title: str, path: str, icon: str, sections: list[Card], badges: list[Card]) -> Card:
    return {
        "title": title,
        "path": path,
        "icon": icon,
        "type": "sections",
        "max_columns": min(COLUMNS, max(1, len(sections))),
        **({"badges": badges} if badges else {}),
        "sections": sections,
    }


def _section(heading: Card, cards: Iterable[Card]) -> Card:
    return {"type": "grid", "cards": [heading, *cards]}


def _heading(text: str, icon: str, badges: Iterable[Component] = (), page: str = "") -> Card:
    told = [{"type": "entity", "entity": _id(one)} for one in badges]
    return {
        "type": "heading",
        "heading": text,
        "heading_style": "title",
        "icon": icon,
        **({"badges": told} if told else {}),
        **({"tap_action": {"action": "url", "url_path": page}} if page else {}),
    }


def _alarms(things: Iterable[_Thing]) -> list[Card]:
    """What is wrong, on top of the page and only while it is."""
    return [
        {
            "type": "entity",
            "entity": _id(one),
            "show_name": True,
            "color": "red",
            "visibility": [{"condition": "state", "entity": _id(one), "state": state}],
        }
        for thing in things
        for one in thing.of("binary_sensor")
        if (state := _ALARMS.get(_kind(one)))
    ]


def _camera(thing: _Thing) -> Card:
    """What it sees now and saw last, whole: a picture that fills a square would cut people off."""
    live, pictures, events = thing.of("camera"), thing.of("image"), thing.of("event")
    motion = [one for one in thing.of("binary_sensor") if _kind(one) == "motion"]
    switches, numbers = thing.of("switch", "light", "button", "select"), thing.of("number")
    named = [*live, *pictures, *events, *motion, *switches, *numbers]
    rest = [one for one in thing.entities if one not in named]
    tiles = [*(_event(one) for one in events), *(_tile(one) for one in (*rest, *switches))]
    cards = [
        *(_picture(_id(one)) for one in (*live, *pictures)),
        *_paired(tiles),
        *(_slider(one) for one in numbers),
    ]
    return _section(_heading(thing.name, "mdi:cctv", motion), cards)


def _meter(thing: _Thing) -> Card:
    readings, pictures = thing.readings, thing.of("image")
    icons = {"energy": "mdi:meter-electric", "gas": "mdi:meter-gas", "water": "mdi:water"}
    icon = next((icons[_kind(one)] for one in readings if _kind(one) in icons), "mdi:counter")
    rest = [one for one in thing.entities if one not in (*readings, *pictures)]
    heading = _heading(thing.name, icon)
    if readings:
        heading["tap_action"] = {"action": "navigate", "navigation_path": "/energy"}
    cards = [
        *(_tile(one, _WHOLE) for one in readings),
        *(_statistics(_id(one)) for one in readings),
        *_paired([_tile(one) for one in rest]),
        *(_picture(_id(one)) for one in pictures),
    ]
    return _section(heading, cards)


def _rest(things: Iterable[_Thing]) -> Card:
    tiles = [_tile(one) for thing in things for one in thing.entities]
    return _section(_heading("Sensors and lamps", "mdi:motion-sensor"), _paired(tiles))


def _machines(things: Sequence[_Thing]) -> Iterator[Card]:
    """Each in a section of its own, but those of whom there is nothing to say than that they are there."""
    silent = [thing for thing in things if not thing.child and thing.entities == tuple(thing.presence)]
    yield from (_machine(thing) for thing in things if thing not in silent)
    if silent:
        tiles = [_named_after_device(one) for thing in silent for one in thing.presence]
        yield _section(_heading("Devices", "mdi:raspberry-pi"), _paired(tiles))


def _machine(thing: _Thing) -> Card:
    worker = thing.identity.startswith(WORKERS)
    icon = "mdi:server" if thing.identity == HUB else "mdi:chip" if worker else "mdi:raspberry-pi"
    rest = [one for one in thing.entities if one not in thing.presence]
    order = ("switch", "button", "update", "binary_sensor", "sensor")
    rest.sort(key=lambda one: order.index(one.platform) if one.platform in order else len(order))
    trends = [_trend(one) for one in rest if _runs(one)]
    tiles = [_tile(one) for one in rest if not _runs(one)]
    page = thing.page if thing.identity == HUB else ""
    return _section(_heading(thing.name, icon, thing.presence, page), [*_paired(tiles), *_paired(trends)])


def _runs(component: Component) -> bool:
    """Its way through the day says more than its state."""
    return component.platform == "sensor" and component.all.get("state_class") == "measurement"


def _paired(cards: Sequence[Card]) -> list[Card]:
    """Half as wide as the section, two in a row; one that would stand alone has the row for itself."""
    told: list[Card] = []
    alone: Card | None = None
    for card in cards:
        if card["grid_options"]["columns"] == 12:
            if alone is not None:
                _widen(alone)
            alone = None
        else:
            alone = card if alone is None else None
        told.append(card)
    if alone is not None:
        _widen(alone)
    return told


def _widen(card: Card) -> None:
    card["grid_options"] = {**card["grid_options"], "columns": 12}


# --- cards --------------------------------------------------------------------------------------


def _name(component: Component) -> Card:
    """The entity's own name without its device's, in the person's language; renamed with it."""
    main = "name" in component.options and component.options["name"] is None
    return {"type": "device" if main else "entity"}


def _tile(component: Component, size: Card | None = None) -> Card:
    # On a phone half a row has room for some fifteen letters, and a button has nothing but its name.
    size = size or (_WHOLE if _is_text(component) or component.platform == "button" else _HALF)
    card: Card = {"type": "tile", "entity": _id(component), "name": _name(component), "grid_options": size}
    if component.platform == "button":
        press: Card = {"action": "toggle"}
        if question := _ASKS.get(str(component.all.get("payload_press"))):
            press["confirmation"] = {"text": question}
            card["icon_tap_action"] = press  # a tap on the icon presses too, and would not ask
        card |= {"tap_action": press, "hide_state": True}
    return card


def _is_text(component: Component) -> bool:
    """Of any length."""
    about = ("device_class", "state_class", "unit_of_measurement")
    return component.platform == "sensor" and not any(component.all.get(one) for one in about)


def _named_after_device(component: Component) -> Card:
    return {**_tile(component), "name": {"type": "device"}}


def _event(component: Component) -> Card:
    return {**_tile(component, _WHOLE), "state_content": ["event_type", "state"]}


def _slider(component: Component) -> Card:
    slider = {"type": "numeric-input", "style": "slider"}
    return {**_tile(component, _WHOLE), "features": [slider], "features_position": "inline"}


def _trend(component: Component) -> Card:
    trend = {"type": "trend-graph", "hours_to_show": 24}
    return {**_tile(component, _TREND), "features": [trend]}


def _picture(entity: str) -> Card:
    return {
        "type": "picture-entity",
        "entity": entity,
        "show_name": False,
        "show_state": False,
        "grid_options": _PICTURE,
    }


def _statistics(entity: str) -> Card:
    """What was used each day."""
    return {
        "type": "statistics-graph",
        "entities": [entity],
        "stat_types": ["change"],
        "period": "day",
        "days_to_show": _DAYS,
        "chart_type": "bar",
        "hide_legend": True,
        "grid_options": _PICTURE,
    }
