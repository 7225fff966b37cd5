"""From what stands on the broker to what should: the next messages to publish. Pure.

Home Assistant forgets a component only when it is sent once more with nothing but its platform, and
may be left out only after that. So a change can take two messages on one topic, with time between
them: call `next_messages` again, with the first as published, until it returns nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from .discovery import Payload


@dataclass(frozen=True)
class Change:
    """The next retained message for one discovery topic; without a payload the device is removed."""

    topic: str
    payload: Payload | None


def next_messages(
    published: Mapping[str, Payload], wanted: Mapping[str, Payload], *, keep: Collection[str] = ()
) -> list[Change]:
    """At most one change per topic, in the order of `wanted`, removals of whole devices last.

    Topics in `keep` are not removed even though nobody wants them.
    """
    changes = [
        Change(topic, payload)
        for topic, target in wanted.items()
        if (payload := _toward(published.get(topic), target)) is not None
    ]
    removed = (topic for topic in sorted(published) if topic not in wanted and topic not in keep)
    return changes + [Change(topic, None) for topic in removed]


def components(payload: Payload) -> dict[str, Payload]:
    """Component id → component, of the device and of its child devices."""
    found: dict[str, Payload] = dict(payload.get("cmps", {}))
    for child in payload.get("cdevs", ()):
        found.update(child["cmps"])
    return found


def _toward(current: Payload | None, target: Payload) -> Payload | None:
    if current == target:
        return None
    if current is None:
        return target
    there = components(target)
    # A component that is a stub already has been removed by the message before.
    gone = {
        name: {"p": old["p"]}
        for name, old in components(current).items()
        if len(old) > 1 and old["p"] != there.get(name, {}).get("p")
    }
    if not gone:
        return target
    return _with_stubs(target, gone)


def _with_stubs(target: Payload, stubs: Mapping[str, Payload]) -> Payload:
    """The target, and beside it what is to be forgotten (whose names it must not use yet)."""
    children = [
        {**child, "cmps": {name: part for name, part in child["cmps"].items() if name not in stubs}}
        for child in target.get("cdevs", ())
    ]
    payload = {**target, "cmps": {**target.get("cmps", {}), **stubs}}
    return {**payload, "cdevs": children} if children else payload
