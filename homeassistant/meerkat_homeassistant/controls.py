"""What can be set of a device while it runs, as Home Assistant's switches, numbers, selects and buttons.

What is of everyday use stands with the pictures. The rest is configuration, and its numbers and selects
are disabled until somebody enables them: a wall of entities hides the few that count.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from meerkat_contract.device_messages import SettingInfo
from meerkat_contract.topics import SettingTopic

SMALLEST_STEP = 0.001
"""Home Assistant rejects a number with a smaller one."""

UNBOUNDED = 1e9
"""Without bounds Home Assistant takes 0 to 100."""

BUTTONS = {("device", "identify"): "identify", ("device", "restart"): "restart"}
"""(thing, setting) of buttons for which Home Assistant has a class."""

ICONS = {
    "enabled": "mdi:cctv",
    "motion_detection": "mdi:motion-sensor",
    "record": "mdi:record-rec",
    "clips": "mdi:filmstrip",
    "cloud": "mdi:cloud-lock",
    "sensitivity": "mdi:tune",
    "capture": "mdi:camera",
}
"""Of what is in front, or soon found."""

EVERYDAY_SELECTS = frozenset({"cloud"})
"""Of the configuration, but nothing to hunt for: whether a camera's clips may leave the house."""

MOST_PRIMARY = 8
"""Entities of a device that are neither configuration nor diagnostic."""


def controls(
    settings: tuple[SettingInfo, ...], device: str, thing: str, *, primary: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    """(setting, component without identity) of each; `primary` entities are there already."""
    for info in settings:
        own = info.common and primary < MOST_PRIMARY
        primary += own
        icon = {"ic": ICONS[info.name]} if info.name in ICONS else {}
        yield info.name, {**_kind(info, device, thing), **icon, **({} if own else _set_once(info))}


def _set_once(info: SettingInfo) -> dict[str, Any]:
    noisy = info.kind in ("number", "select") and not info.common and info.name not in EVERYDAY_SELECTS
    return {"ent_cat": "config", **({"en": False} if noisy else {})}


def _kind(info: SettingInfo, device: str, thing: str) -> dict[str, Any]:
    """What differs by kind. Commands are never retained: that is Home Assistant's default, said aloud."""
    topics = {
        "stat_t": str(SettingTopic(device, thing, info.name, "state")),
        "cmd_t": str(SettingTopic(device, thing, info.name, "set")),
    }
    match info.kind:
        case "switch":
            return {"p": "switch", **topics, "ret": False}
        case "select":
            return {"p": "select", **topics, "ret": False, "ops": list(info.options)}
        case "button":
            kind = BUTTONS.get((thing, info.name))
            named = {"dev_cla": kind} if kind else {}
            return {"p": "button", "cmd_t": topics["cmd_t"], "ret": False, **named}
        case "light":
            dimming = {"sup_clrm": ["brightness"], "bri_scl": 100, "flsh": False, "trns": False}
            return {"p": "light", "schema": "json", **topics, "ret": False, **dimming}
        case "number":
            low = -UNBOUNDED if info.minimum is None else info.minimum
            high = UNBOUNDED if info.maximum is None else info.maximum
            bounds = {"min": low, "max": high, "step": max(SMALLEST_STEP, info.step or SMALLEST_STEP)}
            unit = {"unit_of_meas": info.unit} if info.unit else {}
            return {"p": "number", **topics, "ret": False, **bounds, **unit, "mode": _mode(info)}


def _mode(info: SettingInfo) -> str:
    """A slider has room for some hundred places."""
    if info.minimum is None or info.maximum is None:
        return "box"
    return "slider" if (info.maximum - info.minimum) / (info.step or SMALLEST_STEP) <= 100 else "box"
