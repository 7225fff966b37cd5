"""Rules for one component: an entity, a device trigger or a tag."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from . import classes, schema
from .finding import Finding, Severity
from .payload import Component, Message, as_dict, as_list, is_state_topic
from .templates import Templates
from .values import number, problem_of_availability, problem_of_value

Fault = tuple[Severity, str, str, str]
"""Severity, rule, what, remedy."""

_COMMANDED = {"button", "notify", "scene"}


def component_findings(component: Component, message: Message, templates: Templates) -> Iterator[Finding]:
    """What is wrong with a component of a message that is taken as a whole."""
    if component.removal:
        return
    for severity, rule, what, remedy in _faults(component, message, templates):
        yield Finding(severity, rule, component.topic, component.device, component.id, what, remedy)


def _faults(component: Component, message: Message, templates: Templates) -> Iterator[Fault]:
    options = component.all
    platform = component.platform
    known = schema.known(platform, options)
    if known is None:
        if platform in schema.PLATFORMS:
            yield "error", "schema", f"there is no light of schema {options.get('schema')!r}", "Say json"
        return
    for option in sorted(component.options.keys() - known):
        yield "warning", "unknown-option", *_unknown(option, platform)
    there = options.keys() | ({"device"} if message.about else set())
    for option in sorted(schema.required(platform, options) - there):
        yield "error", "missing-option", f"a {platform} needs {option}", f"Add {option}"
    for option in sorted(component.options.keys() & known):
        if problem := problem_of_value(option, options[option], platform, templates):
            yield "error", "value", f"{option} {problem}", "Correct it: it rejects this entity"
    if platform not in schema.NOT_ENTITIES:
        yield from _availability(component, message, templates)
    if message.whole and (strange := as_dict(options.get("device")).keys() - schema.DEVICE_OF_ONE):
        what = f"its own device has {', '.join(sorted(strange))}, which must be written out there"
        yield "error", "device", what, "Leave the component's device out"
    if "unique_id" not in options and not message.whole and platform not in schema.NOT_ENTITIES:
        what = "without a unique_id nobody can rename it or put it into a room"
        yield "warning", "unique-id", what, "Add unique_id"
    yield from _device_class(platform, options)
    if rules := _RULES.get(platform):
        yield from rules(options)
    yield from _habits(component, options, known)


def _availability(component: Component, message: Message, templates: Templates) -> Iterator[Fault]:
    own = component.options.keys() & {"availability", "availability_topic"}
    if own or not message.whole:  # what it inherits was looked at with its message
        for problem in problem_of_availability(component.all, templates):
            yield "error", "availability", problem, "Correct it: it rejects this entity"
    for item in as_list(component.options.get("availability")):
        for option in sorted(as_dict(item).keys() - schema.AVAILABILITY):
            what = f"availability has no {option!r}: Home Assistant drops it without a word"
            yield "warning", "unknown-option", what, "Correct its spelling, or take it out"


def _unknown(option: str, platform: str) -> tuple[str, str]:
    what = f"a {platform} has no {option!r}: Home Assistant drops it without a word"
    if option == "object_id":
        return what, f"Say default_entity_id: {platform}.<name>"
    return what, "Correct its spelling, or take it out"


def _device_class(platform: str, options: Mapping[str, Any]) -> Iterator[Fault]:
    kind = options.get("device_class")
    if kind is None or platform not in classes.CLASSES:
        return
    if str(kind).lower() not in classes.CLASSES[platform]:
        yield "error", "device-class", f"a {platform} has no device class {kind!r}", "Correct or omit it"


def _habits(component: Component, options: Mapping[str, Any], known: frozenset[str]) -> Iterator[Fault]:
    """What is taken, and still is not meant."""
    name, device = options.get("name"), component.device
    if isinstance(name, str) and f"{name.lower()} ".startswith(f"{device.lower()} "):
        what = f"its name repeats the device's: it reads {device} {name}"
        yield "warning", "name", what, "Leave the device's name out; null for the device's main entity"
    wish = options.get("default_entity_id")
    if isinstance(wish, str) and not wish.startswith(f"{component.platform}."):
        what = f"default_entity_id {wish!r} is not one of a {component.platform}"
        yield "warning", "entity-id", what, f"Begin it with {component.platform}."
    if options.get("retain") is True and component.platform in _COMMANDED:
        what = "its command is retained: it is done again after every restart"
        yield "warning", "retained-command", what, "Leave retain out"
    for option in sorted(options.keys() & known):
        value = options[option]
        if is_state_topic(option) and isinstance(value, str) and ("+" in value or "#" in value):
            what = f"{option} has a wildcard, so its last state is uncertain after a restart"
            yield "warning", "wildcard", what, "Name the topic"


def _sensor(options: Mapping[str, Any]) -> Iterator[Fault]:
    kind = str(options.get("device_class") or "").lower()
    states = options.get("state_class")
    unit = options.get("unit_of_measurement")
    yield from _category("sensor", options)
    if states is not None and str(states).lower() not in classes.STATE_CLASSES:
        yield "error", "state-class", f"there is no state class {states!r}", "Correct or omit it"
    elif states is not None and str(states).lower() not in classes.states_of(kind):
        what = f"state class {states} does not go with {kind}: a warning in its log, and no statistics"
        yield "warning", "state-class", what, f"Say {' or '.join(sorted(classes.states_of(kind))) or 'none'}"
    if states == "measurement_angle" and unit != "°":
        yield "error", "unit", f"the unit {unit!r} does not go with measurement_angle", "Say °"
    if "last_reset_value_template" in options and states != "total":
        yield "error", "together", "last_reset_value_template goes with state class total only", "Omit it"
    if "options" in options:
        yield from _options(options, kind, states, unit)
    elif kind == "enum":
        what = "an enum without options is a mere text"
        yield "warning", "together", what, "List its options"
    yield from _unit(kind, unit)


def _options(options: Mapping[str, Any], kind: str, states: Any, unit: Any) -> Iterator[Fault]:
    if not as_list(options["options"]):
        yield "error", "together", "its options are empty", "List them"
    if states or (isinstance(unit, str) and unit.strip()):
        yield "error", "together", "options exclude a unit and a state class", "Omit these"
    if kind != "enum":
        yield "error", "together", "options go with device class enum only", "Say device_class: enum"


def _unit(kind: str, unit: Any) -> Iterator[Fault]:
    if unit is None or not str(unit).strip() or kind not in classes.UNITS:
        if kind in classes.UNITS and "" not in classes.UNITS[kind]:
            what = f"{kind} needs a unit: a warning in its log"
            yield "warning", "unit", what, f"Say {_some(classes.UNITS[kind])}"
        return
    if classes.unit(str(unit)) not in classes.UNITS[kind]:
        what = f"the unit {unit!r} does not go with {kind}"
        yield "error", "unit", what, f"Say {_some(classes.UNITS[kind])}"


def _some(words: frozenset[str]) -> str:
    named = sorted((word for word in words if word), key=lambda word: (len(word), word))
    return f"{', '.join(named[:6])}{' …' if len(named) > 6 else ''}"


def _category(platform: str, options: Mapping[str, Any]) -> Iterator[Fault]:
    if options.get("entity_category") == "config":
        what = f"a {platform} cannot be of category config"
        yield "error", "category", what, "Say diagnostic, or nothing"


def _binary_sensor(options: Mapping[str, Any]) -> Iterator[Fault]:
    yield from _category("binary_sensor", options)


def _number(options: Mapping[str, Any]) -> Iterator[Fault]:
    low, high = (number(options.get(key, default)) for key, default in (("min", 0), ("max", 100)))
    if low is not None and high is not None and low > high:
        yield "error", "range", f"its range is from {low:g} to {high:g}", "Say max above min"
    elif low == high:
        yield "warning", "range", "its range is empty", "Say max above min"
    step = number(options.get("step", 1))
    if step is not None and step < 0.001:
        yield "error", "range", f"its step is {step:g}", "Say at least 0.001"
    if options.get("mode", "auto") not in ("auto", "box", "slider"):
        yield "error", "value", f"there is no mode {options['mode']!r}", "Say auto, box or slider"
    kind = str(options.get("device_class") or "").lower()
    unit = options.get("unit_of_measurement")
    if kind in classes.UNITS and isinstance(unit, str) and classes.unit(unit) not in classes.UNITS[kind]:
        what = f"the unit {unit!r} does not go with {kind}"
        yield "warning", "unit", what, f"Say {_some(classes.UNITS[kind])}"


def _image(options: Mapping[str, Any]) -> Iterator[Fault]:
    there = [option for option in ("image_topic", "url_topic") if option in options]
    if len(there) != 1:
        what = f"an image needs either image_topic or url_topic and has {' and '.join(there) or 'neither'}"
        yield "error", "together", what, "Say one of them"
    elif there == ["url_topic"] and "content_type" in options:
        yield "error", "together", "content_type goes with image_topic only", "Leave it out"


def _event(options: Mapping[str, Any]) -> Iterator[Fault]:
    types = as_list(options.get("event_types"))
    if any(one is None or isinstance(one, (list, dict)) for one in types):
        yield "error", "value", "an event type is not a text", "Write texts"
    if "device_class" in options and options["device_class"] is None:
        yield "error", "device-class", "its device class is null", "Leave it out"
    if "event_types" in options and not types:
        yield "warning", "events", "it lists no event types, so nothing ever happens", "List them"
    if options.get("device_class") == "doorbell" and "ring" not in types:
        what = "a doorbell without the event type ring: the trigger for doorbells never fires"
        yield "warning", "events", what, "List ring among event_types"


def _select(options: Mapping[str, Any]) -> Iterator[Fault]:
    if "options" in options and not as_list(options["options"]):
        yield "warning", "no-options", "its options are empty", "List them"


def _light(options: Mapping[str, Any]) -> Iterator[Fault]:
    if options.get("schema") != "json" or "supported_color_modes" not in options:
        return
    modes = as_list(options["supported_color_modes"])
    strange = sorted({str(mode) for mode in modes} - _COLOUR_MODES)
    if strange:
        yield "error", "value", f"there is no colour mode {', '.join(strange)}", "Correct it"
    elif not modes or len(modes) != len(set(modes)):
        yield "error", "value", "supported_color_modes is empty or names one twice", "Name each once"
    elif (len(modes) > 1 and {"onoff", "brightness"} & set(modes)) or modes == ["white"]:
        yield "error", "together", "these colour modes do not go together", "onoff and brightness stand alone"


_COLOUR_MODES = frozenset({"onoff", "brightness", "color_temp", "hs", "xy", "rgb", "rgbw", "rgbww", "white"})


def _update(options: Mapping[str, Any]) -> Iterator[Fault]:
    if "command_topic" in options and "payload_install" not in options:
        what = "it has a command_topic and no payload_install: nobody can install with it"
        yield "warning", "together", what, "Add payload_install"


_RULES: dict[str, Callable[[Mapping[str, Any]], Iterator[Fault]]] = {
    "sensor": _sensor,
    "binary_sensor": _binary_sensor,
    "number": _number,
    "image": _image,
    "event": _event,
    "select": _select,
    "light": _light,
    "update": _update,
}
