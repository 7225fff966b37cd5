"""A discovery message, taken apart: what Home Assistant makes of it before it looks at the values.

Nothing is refused here. What has the wrong type is left out, and the rules see it in `content`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from . import abbreviations, schema

_TOPIC = re.compile(r"(?P<platform>\w+)/(?:(?P<node>[a-zA-Z0-9_-]+)/)?(?P<object>[a-zA-Z0-9_-]+)/config")


@dataclass(frozen=True)
class Component:
    """An entity, device trigger or tag; options by their long names, with `~` replaced."""

    topic: str
    id: str
    platform: str
    options: Mapping[str, Any]
    """Its own."""
    shared: Mapping[str, Any]
    """What it inherits from its message."""
    device: str
    """Name of the device or child device that it belongs to."""
    identifiers: tuple[str, ...] = ()
    """Of that device."""
    child: bool = False

    @property
    def all(self) -> Mapping[str, Any]:
        return {**self.shared, **self.options}

    @property
    def removal(self) -> bool:
        """Its platform alone: Home Assistant is to forget it."""
        return not self.options

    @property
    def availability(self) -> Iterator[Mapping[str, Any]]:
        """Each topic it depends on: topic, payload_available, payload_not_available, value_template."""
        options = self.all
        if isinstance(options.get("availability_topic"), str):
            yield {
                "topic": options["availability_topic"],
                "value_template": options.get("availability_template"),
                **{key: options[key] for key in _SAID if key in options},
            }
        for item in as_list(options.get("availability")):
            if isinstance(item, dict) and isinstance(item.get("topic"), str):
                yield item

    def topics(self) -> Iterator[tuple[str, str]]:
        """(option, topic) that Home Assistant subscribes to for its state, its picture or its attributes."""
        known = schema.known(self.platform, self.all) or frozenset()
        for option, value in self.all.items():
            if option in known and is_state_topic(option) and isinstance(value, str) and value:
                yield option, value


_SAID = ("payload_available", "payload_not_available")


def is_topic(option: str) -> bool:
    return option == "topic" or option.endswith("_topic")


def is_state_topic(option: str) -> bool:
    """One that is listened to and not the availability."""
    return is_topic(option) and "command" not in option and option not in _NOT_STATES


_NOT_STATES = {"availability_topic", "set_position_topic", "set_fan_speed_topic", "send_command_topic"} | {
    f"{verb}_topic" for verb in ("dock", "pause", "start_mowing", "stop")
}


@dataclass(frozen=True)
class Message:
    """What stands on one discovery topic."""

    topic: str
    platform: str = ""
    """`device`, or of the one entity that it describes."""
    object_id: str = ""
    content: Any = None
    """With long names; None if it is no JSON."""
    size: int = 0
    """Bytes."""
    components: tuple[Component, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether it describes a device with everything on it."""
        return self.platform == "device"

    @property
    def about(self) -> Mapping[str, Any]:
        """Its device, or nothing."""
        return as_dict(self.content.get("device")) if isinstance(self.content, dict) else {}

    @property
    def device(self) -> str:
        return str(self.about.get("name") or self.object_id or self.topic)

    @property
    def origin(self) -> str:
        content = self.content if isinstance(self.content, dict) else {}
        return str(as_dict(content.get("origin")).get("name", ""))

    @property
    def children(self) -> list[Any]:
        return as_list(self.content.get("child_devices")) if isinstance(self.content, dict) else []

    @property
    def migrates(self) -> bool:
        """It hands its entities over to another message, and describes nothing."""
        return isinstance(self.content, dict) and "migrate_discovery" in self.content


def read(topic: str, payload: bytes, prefix: str) -> Message:
    """A message of `topic`, which begins with `prefix`; tolerant of everything."""
    match = _TOPIC.fullmatch(topic.removeprefix(f"{prefix}/"))
    if match is None:
        return Message(topic, size=len(payload))
    platform, name = match["platform"], match["object"]
    try:
        content = json.loads(payload)
    except ValueError:
        return Message(topic, platform, name, size=len(payload))
    content = _expanded(content, abbreviations.OPTIONS)
    if not isinstance(content, dict):
        return Message(topic, platform, name, content, len(payload))
    for option, names in (("device", abbreviations.DEVICE), ("origin", abbreviations.ORIGIN)):
        if option in content:
            content[option] = _expanded(content[option], names)
    if isinstance(content.get("device"), dict) and "child_device" in content["device"]:
        about = content["device"]
        about["child_device"] = _expanded(about["child_device"], abbreviations.DEVICE)
    message = Message(topic, platform, name, content, len(payload))
    parts = _of_device(message) if message.whole else _of_one(message)
    return Message(topic, platform, name, content, len(payload), tuple(parts))


def _of_device(message: Message) -> Iterator[Component]:
    content = message.content
    shared = {key: value for key, value in content.items() if key in schema.SHARED}
    groups: list[tuple[Mapping[str, Any], Any, bool]] = [(message.about, content.get("components"), False)]
    if isinstance(content.get("components"), dict):
        content["components"] = {k: _component(v) for k, v in content["components"].items()}
        groups = [(message.about, content["components"], False)]
    children = []
    for child in message.children:
        told = _expanded(_expanded(child, abbreviations.DEVICE), abbreviations.OPTIONS)
        if isinstance(told, dict):
            if isinstance(told.get("components"), dict):
                told["components"] = {k: _component(v) for k, v in told["components"].items()}
            groups.append((told, told.get("components"), True))
        children.append(told)
    if children:
        content["child_devices"] = children
    for about, components, child in groups:
        for name, options in as_dict(components).items():
            if isinstance(options, dict):
                own = dict(options)
                platform = str(own.pop("platform", ""))
                yield Component(
                    message.topic,
                    name,
                    platform,
                    _with_base(own),
                    shared,
                    str(about.get("name") or message.device),
                    identifiers(about),
                    child,
                )


def _of_one(message: Message) -> Iterator[Component]:
    own = {key: value for key, value in message.content.items() if key != "platform"}
    about = as_dict(message.about.get("child_device")) or message.about
    name = str(about.get("name") or message.device)
    yield Component(message.topic, "", message.platform, _with_base(own), {}, name, identifiers(about))


def identifiers(about: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(one) for one in as_list(about.get("identifiers")))


def _component(options: Any) -> Any:
    return _expanded(options, abbreviations.OPTIONS)


def _expanded(value: Any, names: Mapping[str, str]) -> Any:
    """The mapping with long names, its availability too; any other value as it is."""
    if not isinstance(value, dict):
        return value
    told = {names.get(key, key): item for key, item in value.items()}
    if "availability" in told:
        items = as_list(told["availability"])
        told["availability"] = [_expanded(item, abbreviations.OPTIONS) for item in items]
    return told


def _with_base(options: dict[str, Any]) -> dict[str, Any]:
    """Topics with what stands for `~` in them."""
    if not isinstance(base := options.get("~"), str):
        return options
    told = {key: _based(value, base) if is_topic(key) else value for key, value in options.items()}
    if isinstance(items := told.get("availability"), list):
        told["availability"] = [
            {**item, "topic": _based(item.get("topic"), base)} if isinstance(item, dict) else item
            for item in items
        ]
    del told["~"]
    return told


def _based(topic: Any, base: str) -> Any:
    if not isinstance(topic, str) or not topic:
        return topic
    if topic.startswith("~"):
        topic = base + topic[1:]
    return topic[:-1] + base if topic.endswith("~") else topic


def as_list(value: Any) -> list[Any]:
    """As Home Assistant reads a list: one item may stand for itself."""
    return [] if value is None else value if isinstance(value, list) else [value]


def as_dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


@dataclass(frozen=True)
class Told:
    """All that a broker holds of discovery, and what stands on the topics that it names."""

    messages: tuple[Message, ...]
    states: Mapping[str, bytes] = field(default_factory=dict)
    """Retained payloads by topic."""
    heard: tuple[tuple[str, bytes], ...] = ()
    """What came while somebody listened, not retained, in order."""
    others: tuple[Message, ...] = ()
    """Messages that are not checked themselves, but may be referred to."""

    @cached_property
    def said(self) -> Mapping[str, bytes]:
        """The last word on each topic, retained or heard."""
        return {**self.states, **dict(self.heard)}
