"""What the messages of a setting mean, by its kind: the payload that is sent, and what it stands for."""

from __future__ import annotations

import math
import re

from .device_messages import SettingInfo
from .errors import BadMessage

Value = bool | float | str | None
"""switch: bool; number: float; select: str; button: None."""

DEFAULT = frozenset((b"", b"default"))
"""Payloads that take a setting back to what meerkat.yaml says."""

_NUMBER = re.compile(r"-?[0-9]{1,12}(\.[0-9]{0,12})?(e-?[0-9]{1,2})?")


def parse(info: SettingInfo, payload: bytes, *, where: str = "") -> Value:
    """The value of a `set` message. Raises BadMessage that says what the setting takes."""
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        text = repr(payload[:40])
    match info.kind:
        case "switch" if text in ("ON", "OFF"):
            return text == "ON"
        case "number" if _NUMBER.fullmatch(text) and _within(info, float(text)):
            return float(text) + 0.0  # no -0
        case "select" if text in info.options:
            return text
        case "button" if text == "PRESS":
            return None
    shown = text[:40] + ("…" if len(text) > 40 else "")
    raise BadMessage(
        f"{shown!r} cannot be set; it stays as it was",
        where=where or info.name,
        remedy=f"Send {takes(info)}"
        + ("" if info.kind == "button" else ", or default for meerkat.yaml's value"),
    )


def payload(info: SettingInfo, value: Value) -> str:
    """The value as its state says it."""
    if info.kind == "switch":
        return "ON" if value else "OFF"
    if info.kind == "number":
        assert isinstance(value, int | float)
        return f"{value:.10g}"
    return "PRESS" if value is None else str(value)


def takes(info: SettingInfo) -> str:
    """In words, what can be sent."""
    match info.kind:
        case "switch":
            return "ON or OFF"
        case "select":
            return "one of " + ", ".join(info.options)
        case "button":
            return "PRESS"
    unit = f" ({info.unit})" if info.unit else ""
    if info.minimum is None and info.maximum is None:
        return f"a decimal number{unit}"
    low = "" if info.minimum is None else f" from {info.minimum:.10g}"
    high = "" if info.maximum is None else f" to {info.maximum:.10g}"
    return f"a decimal number{low}{high}{unit}"


def _within(info: SettingInfo, number: float) -> bool:
    low = -math.inf if info.minimum is None else info.minimum
    high = math.inf if info.maximum is None else info.maximum
    return math.isfinite(number) and low <= number <= high
