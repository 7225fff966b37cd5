"""From what stands on the broker to what should: the next messages to publish. Pure.

Home Assistant forgets a component only when it is sent once more with nothing but its platform, and
may be left out only after that. So a change can take two messages on one topic, with time between
them: call `next_messages` again, with the first as published, until it returns nothing.

What it missed because it was away it cannot forget, since it does not know it any more: it has to be
told of it once again first (`beside`), and then to forget it (`without`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from .discovery import Payload


@dataclass(frozen=True)
class Change:
    """The next retained message for one discovery topic; without a payload the device is removed."""

    topic: str
    payload: Payload | None


def next_messages(
    published: Mapping[str, Payload],
    wanted: Mapping[str, Payload],
    *,
    keep: Collection[str] = (),
    lost: Collection[str] = (),
) -> list[Change]:
    """At most one change per topic, in the order of `wanted`, removals of whole devices last.

    Topics in `keep` are not removed even though nobody wants them. Those in `lost` were published, and
    Home Assistant knows them, but the broker does not: they are published even if nothing has changed.
    """
    changes = [
        Change(topic, payload or target)
        for topic, target in wanted.items()
        if (payload := _toward(published.get(topic), target)) is not None or topic in lost
    ]
    removed = (topic for topic in sorted(published) if topic not in wanted and topic not in keep)
    return changes + [Change(topic, None) for topic in removed]


def sound(payload: Any) -> Payload:
    """The payload, if it is one of a device with all that is looked at here; else an empty one."""
    match payload:
        case {"dev": {"ids": [str(), *_]}, "o": dict(), "cmps": dict()}:
            told: Payload = dict(payload)
        case _:
            return {}
    try:
        named = all(isinstance(child["ids"][0], str) for child in told.get("cdevs", ()))
        good = named and all(isinstance(part["p"], str) for part in components(told).values())
    except (TypeError, KeyError, IndexError, ValueError):
        return {}
    return told if good else {}


def components(payload: Payload) -> dict[str, Payload]:
    """Component id → component, of the device and of its child devices."""
    found: dict[str, Payload] = dict(payload.get("cmps", {}))
    for child in payload.get("cdevs", ()):
        found.update(child["cmps"])
    return found


def gone(current: Payload, target: Payload) -> Payload:
    """What of `current` is no more in `target`, as a payload of its own; empty when all is still there.

    A component that is a stub has been removed already, and one of another platform is another one.
    """
    there = components(target)

    def rest(parts: Mapping[str, Payload]) -> dict[str, Payload]:
        return {
            name: part
            for name, part in parts.items()
            if len(part) > 1 and part["p"] != there.get(name, {}).get("p")
        }

    left = _shaped(current, rest)
    return left if components(left) else {}


def without(payload: Payload, left: Payload) -> Payload:
    """The payload, and beside it what is to be forgotten (whose names it must not use yet)."""
    stubs = {name: {"p": part["p"]} for name, part in components(left).items()}
    rest = _unnamed(payload, stubs)
    return {**rest, "cmps": {**rest["cmps"], **stubs}}


def beside(payload: Payload, left: Payload) -> Payload:
    """The payload, and what is `left` with it. Where both use a name, only the latter has it."""
    rest = _unnamed(payload, components(left))
    children = {child["ids"][0]: child for child in rest.get("cdevs", ())}
    for child in left.get("cdevs", ()):
        known = children.get(child["ids"][0], child)
        children[child["ids"][0]] = {**known, "cmps": {**known["cmps"], **child["cmps"]}}
    cdevs = {"cdevs": list(children.values())} if children else {}
    return {**rest, "cmps": {**rest["cmps"], **left.get("cmps", {})}, **cdevs}


def unreferring(payload: Payload) -> Payload:
    """The payload without a reference to the hub: one that is not there would become a nameless device."""
    return {**payload, "dev": {key: value for key, value in payload["dev"].items() if key != "via_device"}}


def _toward(current: Payload | None, target: Payload) -> Payload | None:
    if current == target:
        return None
    if current is None:
        return target
    left = gone(current, target)
    return without(target, left) if left else target


def _unnamed(payload: Payload, names: Collection[str]) -> Payload:
    return _shaped(payload, lambda parts: {name: part for name, part in parts.items() if name not in names})


def _shaped(payload: Payload, choose: Callable[[Mapping[str, Payload]], dict[str, Payload]]) -> Payload:
    """The payload with the chosen components alone, and no child device without any."""
    children = [
        {**child, "cmps": parts} for child in payload.get("cdevs", ()) if (parts := choose(child["cmps"]))
    ]
    shaped = {key: value for key, value in payload.items() if key != "cdevs"}
    shaped["cmps"] = choose(payload.get("cmps", {}))
    return {**shaped, "cdevs": children} if children else shaped
