"""Renders the templates of discovery as Home Assistant would, as far as that needs no Home Assistant.

Jinja2 does it, if it is installed. The filters that MQTT templates live on are here; one that asks Home
Assistant itself (`states`, `now`, …) is known by name, and a template that uses it is not rendered.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

FILTERS = frozenset(
    "acos add apply area_devices area_entities area_id area_name as_datetime as_function as_local "
    "as_timedelta as_timestamp asin atan atan2 average base64_decode base64_encode bitwise_and "
    "bitwise_or bitwise_xor bool clamp closest combine config_entry_attr config_entry_id contains "
    "cos device_attr device_entities device_id device_name difference entity_name expand flatten "
    "floor_areas floor_entities floor_id floor_name from_hex from_json has_value iif "
    "integration_entities intersect is_defined is_number issue label_areas label_description "
    "label_devices label_entities label_id label_name labels log md5 median multiply ord ordinal "
    "pack regex_findall regex_findall_index regex_match regex_replace regex_search relative_time "
    "remap sha1 sha256 sha512 shuffle sin slugify sqrt state_attr state_attr_translated "
    "state_translated states statistical_mode symmetric_difference tan time_since time_until "
    "timedelta_string timestamp_custom timestamp_local timestamp_utc to_json today_at typeof union "
    "unpack version wrap".split()
)
TESTS = frozenset(
    "apply contains datetime has_value is_device_attr is_hidden_entity is_number is_state is_state_attr list "
    "match search set string_like tuple".split()
)
GLOBALS = FILTERS | frozenset(
    "areas distance e float floors int is_device_attr is_hidden_entity is_state is_state_attr issues max "
    "merge_response min now pi set strptime tau this timedelta tuple urlencode utcnow zip".split()
)
"""What the templates of Home Assistant 2026.11.0 have beside Jinja2's own."""


class TemplateProblem(Exception):
    """Home Assistant logs this instead of showing a state."""


class _NotHere(Exception):
    """Only Home Assistant can tell."""


@dataclass(frozen=True)
class Rendered:
    text: str
    missing: tuple[str, ...] = ()
    """What it uses that is not there: Home Assistant logs each."""


_MISSING = object()


class Templates:
    """`rendered()` may be called as often as one likes. `available` is False without Jinja2."""

    def __init__(self) -> None:
        self._warnings = _Lines()
        self._environment = _environment(self._warnings)
        self._compiled: dict[str, Any] = {}

    @property
    def available(self) -> bool:
        return self._environment is not None

    def problem(self, template: str) -> str:
        """What is wrong with its syntax, or nothing."""
        if self._environment is None:
            return ""
        from jinja2 import TemplateError

        try:
            self._template(template)
        except TemplateError as error:
            return str(error)
        return ""

    def _template(self, text: str) -> Any:
        """Compiled once; raises TemplateError."""
        if text not in self._compiled:
            self._compiled[text] = self._environment.from_string(text)
        return self._compiled[text]

    def rendered(self, template: str | None, payload: bytes) -> Rendered | None:
        """What becomes of `payload`; None if it cannot be told here. Raises TemplateProblem."""
        text = payload.decode(errors="replace")
        if template is None:
            return Rendered(text)
        if self._environment is None:
            return None
        from jinja2 import TemplateError

        variables: dict[str, Any] = {"value": text, "entity_id": "", "name": ""}
        with suppress(ValueError):  # Home Assistant leaves it out, too
            variables["value_json"] = json.loads(text)
        self._warnings.lines.clear()
        try:
            told = self._template(template).render(variables).strip()
        except _NotHere:
            return None
        except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
            raise TemplateProblem(f"{type(error).__name__}: {error}") from error
        return Rendered(told, tuple(dict.fromkeys(self._warnings.lines)))


class _Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage().removeprefix("Template variable warning: "))


def _environment(lines: _Lines) -> Any:
    try:
        from jinja2 import Undefined, make_logging_undefined
        from jinja2.sandbox import ImmutableSandboxedEnvironment
    except ImportError:
        return None
    # Stands alone, so that what it says goes nowhere else.
    logger = logging.Logger("templates")
    logger.addHandler(lines)
    # What is on a broker may be anybody's: in the sandbox, as in Home Assistant.
    made = ImmutableSandboxedEnvironment(
        undefined=make_logging_undefined(logger, Undefined),
        extensions=["jinja2.ext.loopcontrols", "jinja2.ext.do"],
    )
    made.filters.update(dict.fromkeys(FILTERS, _not_here) | _OWN)
    made.tests.update(dict.fromkeys(TESTS, _not_here) | _OWN_TESTS)
    made.globals.update(dict.fromkeys(GLOBALS, _not_here) | _OWN_GLOBALS)
    return made


def _not_here(*_: Any, **__: Any) -> Any:
    raise _NotHere


def _float(value: Any, default: Any = _MISSING) -> Any:
    return _or_default(float, value, default)


def _int(value: Any, default: Any = _MISSING, base: int = 10) -> Any:
    return _or_default(lambda it: int(it, base) if isinstance(it, str) else int(it), value, default)


def _round(value: Any, precision: int = 0, method: str = "common", default: Any = _MISSING) -> Any:
    if method != "common":
        raise _NotHere
    return _or_default(lambda it: _places(float(it), precision), value, default)


def _places(value: float, precision: int) -> float:
    return round(value) if precision == 0 else round(value, precision)


def _or_default(convert: Callable[[Any], Any], value: Any, default: Any) -> Any:
    try:
        return convert(value)
    except (ValueError, TypeError, OverflowError):
        if default is _MISSING:
            raise
        return default


def _is_number(value: Any) -> bool:
    try:
        number = float(value)
    except (ValueError, TypeError, OverflowError):
        return False
    return number - number == 0  # neither infinite nor no number


def _to_json(value: Any, *_: Any, **__: Any) -> str:
    return json.dumps(value)


def _iif(value: Any, if_true: Any = True, if_false: Any = False, if_none: Any = _MISSING) -> Any:
    if value is None and if_none is not _MISSING:
        return if_none
    return if_true if value else if_false


_OWN: dict[str, Callable[..., Any]] = {
    "float": _float,
    "int": _int,
    "round": _round,
    "is_number": _is_number,
    "to_json": _to_json,
    "from_json": json.loads,
    "iif": _iif,
    "multiply": lambda value, by: float(value) * by,
    "add": lambda value, more: float(value) + more,
}
_OWN_TESTS: dict[str, Callable[..., Any]] = {
    "is_number": _is_number,
    "list": lambda value: isinstance(value, list),
    "contains": lambda value, item: item in value,
}
_OWN_GLOBALS: dict[str, Any] = {
    "float": _float,
    "int": _int,
    "is_number": _is_number,
    "iif": _iif,
    "min": min,
    "max": max,
    "zip": zip,
    "set": set,
}
