"""What may stand in an automation of Home Assistant 2026.11: triggers, conditions, actions, by their keys.

As much of it as our blueprints and documents use, read from the integrations' own descriptions
(`triggers.yaml`, `services.yaml`) and from `helpers/config_validation.py`. A kind that is not in here is a
fault until somebody has looked it up.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

AUTOMATION = set(
    "id alias description mode max max_exceeded triggers conditions actions variables".split()
) | {"trigger_variables"}
MODES = {"single", "restart", "queued", "parallel"}

TRIGGERS: dict[str, tuple[set[str], set[str]]] = {
    "event": ({"event_type"}, {"event_data"}),
    "event.received": ({"target", "options"}, set()),
    "doorbell.rang": ({"target"}, set()),
    "numeric_state": ({"entity_id"}, {"above", "below", "for", "attribute"}),
    "state": ({"entity_id"}, {"to", "from", "for", "attribute", "not_to", "not_from"}),
    "template": ({"value_template"}, {"for"}),
    "time": ({"at"}, {"weekday"}),
}
"""Kind → keys that it must have, and that it may have."""

CONDITIONS: dict[str, tuple[set[str], set[str]]] = {
    "and": ({"conditions"}, set()),
    "numeric_state": ({"entity_id"}, {"above", "below"}),
    "or": ({"conditions"}, set()),
    "state": ({"entity_id", "state"}, {"for", "attribute"}),
    "template": ({"value_template"}, set()),
    "time": (set(), {"after", "before", "weekday"}),
    "trigger": ({"id"}, set()),
}

NOTIFICATION = {"title", "message", "data"}

ACTIONS: dict[str, tuple[set[str], set[str]]] = {
    "button.press": (set(), set()),
    "camera.snapshot": ({"filename"}, set()),
    "image.snapshot": ({"filename"}, set()),
    "light.turn_off": (set(), {"transition"}),
    "light.turn_on": (set(), {"brightness_pct", "flash"}),
    "media_player.play_media": ({"media_content_id", "media_content_type"}, set()),
    "media_player.turn_off": (set(), set()),
    "notify.mobile_app_your_phone": ({"message"}, NOTIFICATION),
    "persistent_notification.create": ({"message"}, {"title", "notification_id"}),
    "scene.create": ({"scene_id"}, {"entities", "snapshot_entities"}),
    "scene.delete": (set(), set()),
    "switch.turn_off": (set(), set()),
    "switch.turn_on": (set(), set()),
    "valve.close_valve": (set(), set()),
}
"""Action → what its data must have, and may have."""

PUSH = set("image tag group url clickAction actions push channel ttl priority importance".split()) | {
    "alert_once",
    "notification_icon",
}
"""Of a notification's own `data`, for the app on a phone."""

STEPS: dict[str, set[str]] = {
    "action": {"target", "data"},
    "choose": {"default"},
    "delay": set(),
    "if": {"then", "else"},
    "repeat": set(),
    "sequence": set(),
    "stop": set(),
    "variables": set(),
    "wait_for_trigger": {"timeout", "continue_on_timeout"},
    "wait_template": {"timeout", "continue_on_timeout"},
}


def faults(config: dict[str, Any]) -> Iterator[str]:
    """What Home Assistant would reject or not understand."""
    yield from (f"{key} is unknown" for key in config.keys() - AUTOMATION - {"blueprint"})
    if config.get("mode", "single") not in MODES:
        yield f"no mode {config['mode']}"
    for trigger in config["triggers"]:
        yield from _kind("trigger", trigger, TRIGGERS)
    for condition in config.get("conditions", ()):
        yield from _condition(condition)
    for step in config["actions"]:
        yield from _step(step)


def _kind(what: str, part: dict[str, Any], known: dict[str, tuple[set[str], set[str]]]) -> Iterator[str]:
    kind = part.get(what)
    if kind not in known:
        yield f"no {what} {kind}"
        return
    must, may = known[kind]
    yield from (f"{what} {kind}: {key} is missing" for key in must - part.keys())
    yield from (
        f"{what} {kind}: {key} is unknown" for key in part.keys() - must - may - {what, "id", "alias"}
    )


def _condition(condition: Any) -> Iterator[str]:
    if isinstance(condition, str):  # a template
        return
    yield from _kind("condition", condition, CONDITIONS)
    inner = condition.get("conditions", ())
    for one in inner if not isinstance(inner, str) else ():
        yield from _condition(one)


def _step(step: dict[str, Any]) -> Iterator[str]:
    kinds = step.keys() & STEPS.keys()
    if len(kinds) != 1:
        yield f"a step of {sorted(step)}"
        return
    (kind,) = kinds
    extra = step.keys() - STEPS[kind] - {kind, "alias", "continue_on_error"}
    yield from (f"{kind}: {key} is unknown" for key in extra)
    if kind == "action":
        yield from _action(step)
    conditions = step.get("if", ())
    for condition in conditions if isinstance(conditions, list) else ():
        yield from _condition(condition)
    if kind == "wait_for_trigger":
        for trigger in step[kind]:
            yield from _kind("trigger", trigger, TRIGGERS)
    for inner in _inner(step):
        yield from _step(inner)


def _inner(step: dict[str, Any]) -> Iterator[dict[str, Any]]:
    groups = [
        step.get("then"),
        step.get("else"),
        step.get("sequence"),
        step.get("repeat", {}).get("sequence"),
    ]
    groups += [one["sequence"] for one in step.get("choose", ())]
    for group in groups:
        if isinstance(group, list):  # an input otherwise
            yield from group


def _action(step: dict[str, Any]) -> Iterator[str]:
    name, data = step["action"], step.get("data", {})
    if "{{" in name:
        return
    if name not in ACTIONS:
        yield f"no action {name}"
        return
    must, may = ACTIONS[name]
    yield from (f"{name}: {key} is missing" for key in must - data.keys())
    yield from (f"{name}: {key} is unknown" for key in data.keys() - must - may)
    if isinstance(push := data.get("data"), dict):
        yield from (f"{name}: {key} is unknown" for key in push.keys() - PUSH)
