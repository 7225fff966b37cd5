"""Whether the value of an option is one that Home Assistant takes, by the option's name alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from numbers import Number
from typing import Any
from urllib.parse import urlsplit

from . import schema
from .payload import as_list, is_topic
from .templates import Templates

_YES_OR_NO = {"1", "true", "yes", "on", "enable", "0", "false", "no", "off", "disable"}
_BOOLEANS = frozenset(
    "retain optimistic enabled_by_default visible_by_default force_update flash transition effect brightness "
    "code_arm_required code_disarm_required code_trigger_required support_duration support_volume_set".split()
)
_COUNTS = frozenset(
    "expire_after off_delay suggested_display_precision display_precision flash_time_long flash_time_short "
    "max_mireds min_mireds max_kelvin min_kelvin".split()
)
_SCALES = frozenset({"brightness_scale", "white_scale"})
_NUMBERS = frozenset({"max", "min", "step", "max_temp", "min_temp", "temp_step"})
_ONE_OF: dict[str, frozenset[str]] = {
    "availability_mode": frozenset({"all", "any", "latest"}),
    "entity_category": frozenset({"config", "diagnostic"}),
    "automation_type": frozenset({"trigger"}),
}
_TEXTS_OR_NOTHING = frozenset({"name", "payload", "unit_of_measurement"})
_LISTS = frozenset(
    "options event_types supported_color_modes effect_list modes preset_modes fan_modes swing_modes "
    "available_tones fan_speed_list supported_features group availability connections identifiers "
    "swing_horizontal_modes ~ device origin child_device message_expiry_interval device_class "
    "state_class".split()
)
"""Of other types, or with rules of their own."""


def problem_of_value(option: str, value: Any, platform: str, templates: Templates | None) -> str:
    """What is wrong with it, in words that follow the option's name; empty if nothing is."""
    if option in _LISTS or (option in _TEXTS_OR_NOTHING and value is None):
        return ""
    for fits, problem in _KINDS:
        if fits(option):
            return problem(value)
    if value is None or isinstance(value, (list, dict)):
        return "is missing" if value is None else "is not a text"
    if is_topic(option):
        return _topic(str(value), publish="command" in option)
    if option.endswith("_template") and templates is not None:
        problem_there = templates.problem(str(value))
        return f"has an error: {problem_there}" if problem_there else ""
    return _special(option, value, platform)


def problem_of_availability(options: Mapping[str, Any], templates: Templates) -> Iterator[str]:
    """Of a device or of a component with all that it inherits."""
    if "availability" in options and "availability_topic" in options:
        yield "availability and availability_topic exclude each other"
    for item in as_list(options.get("availability")):
        if not isinstance(item, dict):
            yield "an item of availability is not a JSON object"
            continue
        if "topic" not in item:
            yield "availability has an item without a topic"
        for option in sorted(item.keys() & schema.AVAILABILITY):
            if problem := problem_of_value(option, item[option], "", templates):
                yield f"{option} of availability {problem}"


def is_web_address(value: Any, *, own: bool = False) -> bool:
    """http or https with a host; `own` also allows Home Assistant's own pages."""
    try:
        parts = urlsplit(str(value).strip())
        return parts.scheme in ("http", "https", *(("homeassistant",) if own else ())) and bool(
            parts.hostname and parts.port != 0 and not any(one.isspace() for one in parts.hostname)
        )
    except ValueError:
        return False


def number(value: Any) -> float | None:
    """What a number may be written as, or None."""
    try:
        return float(value)
    except (ValueError, TypeError):
        return None


def _boolean(value: Any) -> str:
    good = isinstance(value, Number) or (isinstance(value, str) and value.strip().lower() in _YES_OR_NO)
    return "" if good else f"is neither true nor false but {value!r}"


def _count(value: Any) -> str:
    try:
        return "" if int(value) >= 0 else f"is below zero: {value}"
    except (ValueError, TypeError, OverflowError):
        return f"is not a whole number but {value!r}"


def _number(value: Any) -> str:
    return "" if number(value) is not None else f"is not a number but {value!r}"


def _scale(value: Any) -> str:
    return _count(value) or ("" if int(value) >= 1 else f"is below one: {value}")


def _qos(value: Any) -> str:
    told = number(value)
    return "" if told is not None and 0 <= told < 3 else f"is {value!r}; there are 0, 1 and 2"


_KINDS: tuple[tuple[Callable[[str], bool], Callable[[Any], str]], ...] = (
    (_BOOLEANS.__contains__, _boolean),
    (_COUNTS.__contains__, _count),
    (_SCALES.__contains__, _scale),
    (_NUMBERS.__contains__, _number),
    ("qos".__eq__, _qos),
)


def _special(option: str, value: Any, platform: str) -> str:
    if option in _ONE_OF and value not in _ONE_OF[option]:
        return f"is {value!r}; there are {', '.join(sorted(_ONE_OF[option]))}"
    if option == "icon" and ":" not in str(value):
        return f"is {value!r}; icons are written prefix:name"
    if option == "entity_picture" and not is_web_address(value):
        return f"is {value!r}; only a whole http(s) address is taken, no path"
    if option == "image_encoding":
        allowed = {"b64"} if platform == "camera" else {"b64", "raw"}
        return "" if value in allowed else f"is {value!r}; there is {' and '.join(sorted(allowed))}"
    return ""


def _topic(value: str, *, publish: bool) -> str:
    if not value:
        return "is empty"
    if len(value.encode(errors="replace")) > 65535:
        return "is longer than a topic can be"
    if any(one <= "\x1f" or "\x7f" <= one <= "\x9f" for one in value):
        return "has control characters"
    levels = value.split("/")
    if publish and ("+" in value or "#" in value):
        return f"has a wildcard: {value}"
    if any("+" in level and level != "+" for level in levels) or any(
        "#" in level and (level != "#" or at < len(levels) - 1) for at, level in enumerate(levels)
    ):
        return f"has a wildcard where none can be: {value}"
    return ""
