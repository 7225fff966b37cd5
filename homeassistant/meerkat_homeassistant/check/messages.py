"""Rules for a discovery message as a whole, and for what several of them say together.

What Home Assistant does in each case was measured with 2026.11.0. A fault at the top of a message, in its
device, origin or availability costs all of its entities at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from . import schema
from .components import component_findings
from .finding import Finding, Severity
from .payload import Component, Message, as_dict, as_list, identifiers
from .templates import Templates
from .values import is_web_address, problem_of_availability, problem_of_value

_SPELLING = "Take it out, or correct its spelling"


def findings(message: Message, templates: Templates) -> Iterator[Finding]:
    """What is wrong within one message."""
    if message.migrates:
        return
    rejected = list(_rejected(message, templates))
    yield from rejected
    if isinstance(message.content, dict):
        for component in message.components:
            yield from component_findings(component, message, templates)


def _of(message: Message, severity: Severity, rule: str, what: str, remedy: str) -> Finding:
    return Finding(severity, rule, message.topic, message.device, "", what, remedy)


def _rejected(message: Message, templates: Templates) -> Iterator[Finding]:
    """What makes Home Assistant refuse the whole message."""

    def error(rule: str, what: str, remedy: str) -> Finding:
        return _of(message, "error", rule, what, remedy)

    if not message.object_id:
        yield error("topic", "it takes no discovery on this topic", "Use <prefix>/device/<id>/config")
        return
    if not isinstance(message.content, dict):
        yield error("json", "the message is not a JSON object", "Publish one, or empty the topic")
        return
    if not message.whole:
        if message.platform not in schema.PLATFORMS:
            yield error("platform", f"there is no platform {message.platform}", "Correct the topic")
        yield from _about(message, schema.DEVICE_OF_ONE, needed=False)
        yield from _origin(message, needed=False)
        return
    content = message.content
    yield from _about(message, schema.DEVICE, needed=True)
    yield from _origin(message, needed=True)
    for option in sorted(content.keys() - schema.TOP):
        what = f"{option!r} does not belong at the top: it rejects the whole device"
        remedy = "Put it into the components" if option == "~" else _SPELLING
        yield error("unknown-option", what, remedy)
    for option in sorted(schema.SHARED & content.keys()):
        if problem := problem_of_value(option, content[option], "", templates):
            yield error("value", f"{option} {problem}", "Correct it: it rejects the whole device")
    for item in as_list(content.get("availability")):
        for option in sorted(as_dict(item).keys() - schema.AVAILABILITY):
            yield error("unknown-option", f"availability has no {option!r}", _SPELLING)
    for problem in problem_of_availability(content, templates):
        yield error("availability", problem, "Correct it: it rejects the whole device")
    yield from _components(message)


def _about(message: Message, known: frozenset[str], *, needed: bool) -> Iterator[Finding]:
    def error(rule: str, what: str, remedy: str) -> Finding:
        return _of(message, "error", rule, what, remedy)

    about = message.content.get("device")
    if about is None and not needed and "device" not in message.content:
        return
    if not isinstance(about, dict):
        yield error("device", "it does not say what device it is", "Add `dev` with `ids` and a name")
        return
    if not as_list(about.get("identifiers")) and not as_list(about.get("connections")):
        yield error("device", "the device has neither identifiers nor connections", "Add `ids`")
    if not all(_is_text(one) for one in as_list(about.get("identifiers"))):
        yield error("value", "an identifier of the device is not a text", "Write texts")
    if not all(_is_connection(one) for one in as_list(about.get("connections"))):
        yield error("value", "connections are pairs, such as ['mac', '02:00:00:00:00:00']", "Write pairs")
    for option in sorted(about.keys() - known):
        if option in schema.GONE:
            what = f"{option} does nothing any more"
            yield _of(message, "warning", "unknown-option", what, "Say via_device")
        else:
            yield error("unknown-option", f"a device has no {option!r}", _SPELLING)
    if "child_device" in known and "child_device" in about:
        yield from _child(message, about["child_device"], frozenset({"identifiers", "name"}))
    yield from _strings(
        message, about, known - {"identifiers", "connections", "child_device"}, "of the device"
    )
    if "configuration_url" in about and not is_web_address(about["configuration_url"], own=True):
        yield error("address", "configuration_url is not an http(s) address", "Write all of it")
    if "name" not in about:
        yield _of(message, "warning", "device", "the device has no name", "Add a name to `dev`")


def _origin(message: Message, *, needed: bool) -> Iterator[Finding]:
    def error(rule: str, what: str, remedy: str) -> Finding:
        return _of(message, "error", rule, what, remedy)

    if not needed and "origin" not in message.content:
        return
    origin = message.content.get("origin")
    if not isinstance(origin, dict) or "name" not in origin:
        yield error("origin", "it does not say which program wrote it", "Add `o` with a name")
        return
    for option in sorted(origin.keys() - schema.ORIGIN):
        yield error("unknown-option", f"an origin has no {option!r}", _SPELLING)
    yield from _strings(message, origin, schema.ORIGIN, "of the origin")
    if "support_url" in origin and not is_web_address(origin["support_url"], own=True):
        yield error("address", "support_url is not an http(s) address", "Write all of it")


def _strings(
    message: Message, values: Mapping[str, Any], names: frozenset[str], where: str
) -> Iterator[Finding]:
    for option in sorted(names & values.keys()):
        if not _is_text(values[option]):
            yield _of(message, "error", "value", f"{option} {where} is not a text", "Write a text")


def _is_text(value: Any) -> bool:
    """A number is written as one."""
    return value is not None and not isinstance(value, (list, dict))


def _is_connection(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(_is_text(one) for one in value)


def _child(message: Message, child: Mapping[str, Any], known: frozenset[str]) -> Iterator[Finding]:
    """A child device; `known` are the names that it may have."""

    def error(rule: str, what: str, remedy: str) -> Finding:
        return _of(message, "error", rule, f"{name}: {what}", remedy)

    if not isinstance(child, dict):
        name = message.device
        yield error("components", "a child device is not a JSON object", "Write an object")
        return
    name = str(child.get("name", "a child device"))
    for option in sorted(child.keys() - known):
        yield error("unknown-option", f"a child device has no {option!r}", _SPELLING)
    ids = as_list(child.get("identifiers"))
    if not ids or not all(_is_text(one) for one in ids):
        yield error("device", "a child device needs identifiers", "Add `ids`")
    if "components" in known and "components" not in child:
        yield error("components", "a child device needs components", "Add `cmps`")
    if "name" in child and not _is_text(child["name"]):
        yield error("value", "its name is not a text", "Write a text")


def _components(message: Message) -> Iterator[Finding]:
    """Components and child devices: what they must have before their platforms look at them."""

    def error(rule: str, what: str, remedy: str) -> Finding:
        return _of(message, "error", rule, what, remedy)

    content = message.content
    if "components" not in content and "child_devices" not in content:
        yield error("components", "it has neither components nor child devices", "Add `cmps`")
    groups: list[Any] = [content.get("components", {})]
    if not isinstance(content.get("child_devices", []), list):
        yield error("components", "child_devices is not a list", "Write a list")
    children = [child for child in message.children if isinstance(child, dict)]
    for child in message.children:
        yield from _child(message, child, schema.CHILD)
    groups += [child.get("components", {}) for child in children]
    for group in groups:
        if not isinstance(group, dict):
            yield error("components", "its components are not a JSON object", "Write ids and objects")
            continue
        for name in sorted(name for name, one in group.items() if not isinstance(one, dict)):
            yield error("components", f"{name} is not a JSON object", "Write an object")
    for component in message.components:
        yield from _begins(component)
    yield from _doubled(message, children)


def _begins(component: Component) -> Iterator[Finding]:
    def error(rule: str, what: str, remedy: str) -> Finding:
        told = f"{what}: it rejects the whole device"
        return Finding("error", rule, component.topic, component.device, component.id, told, remedy)

    if not component.platform:
        yield error("platform", "the component has no platform", "Add `p`")
    elif component.platform not in schema.PLATFORMS:
        yield error("platform", f"there is no platform {component.platform}", "Correct `p`")
    elif component.child and component.platform in schema.NOT_ENTITIES:
        what = f"a child device cannot have a {component.platform}"
        yield error("platform", what, "Move it to the device itself")
    elif component.removal or component.platform in schema.NOT_ENTITIES:
        return
    elif problem := problem_of_value("unique_id", component.options.get("unique_id"), "", None):
        yield error("unique-id", f"its unique_id {problem}", "Add `uniq_id`")


def _doubled(message: Message, children: list[Any]) -> Iterator[Finding]:
    names = Counter(component.id for component in message.components)
    for name in sorted(name for name, times in names.items() if times > 1):
        what = f"the component id {name} is there twice, in the device and its child devices"
        yield _of(message, "error", "doubled-component", what, "Each id may be there once in a message")
    own = [*(one for child in children for one in identifiers(child)), *set(identifiers(message.about))]
    for name in sorted(name for name, times in Counter(own).items() if times > 1):
        what = f"the identifier {name} is there twice, in the device and its child devices"
        yield _of(message, "error", "doubled-identifier", what, "Each device has its own")


def together(messages: Iterable[Message], others: Iterable[Message]) -> Iterator[Finding]:
    """What is wrong between messages; `others` may be referred to and are not reported."""
    checked = list(messages)
    everything = [*checked, *others]
    known = {one for message in everything for one in _identities(message)}
    for message in checked:
        via = message.about.get("via_device")
        if isinstance(via, str) and via not in known:
            what = f"nobody announces its via_device {via}: Home Assistant makes a nameless device of it"
            yield _of(message, "warning", "via-device", what, f"Announce {via} too, before this one")
    yield from _twice(checked, everything, "unique_id", "unique-id", _same_unique_id)
    yield from _twice(checked, everything, "default_entity_id", "entity-id", _same_entity_id)


def _same_unique_id(value: str, first: str) -> tuple[Severity, str, str]:
    return (
        "error",
        f"its unique_id {value} is already that of {first}: Home Assistant ignores the second",
        "Give it one of its own",
    )


def _same_entity_id(value: str, first: str) -> tuple[Severity, str, str]:
    return (
        "warning",
        f"{first} asks for the entity id {value} as well: the second becomes {value}_2",
        "Give it one of its own",
    )


def _twice(
    checked: list[Message], everything: list[Message], option: str, rule: str, say: Any
) -> Iterator[Finding]:
    seen: dict[tuple[str, str], Component] = {}
    topics = {message.topic for message in checked}
    for component in (one for message in everything for one in message.components):
        value = component.options.get(option)
        if not isinstance(value, str):
            continue
        first = seen.setdefault((component.platform, value), component)
        if first is component:
            continue
        told = component if component.topic in topics else first
        other = first if told is component else component
        name = f"{other.device}, {other.id}" if other.id else other.device
        if told.topic in topics:
            severity, what, remedy = say(value, name)
            yield Finding(severity, rule, told.topic, told.device, told.id, what, remedy)


def _identities(message: Message) -> Iterator[str]:
    yield from identifiers(message.about)
    for child in [*message.children, message.about.get("child_device")]:
        if isinstance(child, dict):
            yield from identifiers(child)
