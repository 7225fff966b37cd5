"""A row of the catalogue, and what its templates share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from meerkat_contract.topics import Topic

Source = Literal["device", "command", "hub", "worker", "always"]
"""On whom an entity depends.

device  The device publishes it, past the hub. A hub that restarts must not make a camera go dark.
command As device, but only while it is awake: what is sent to one that is asleep, nobody hears.
hub     The hub publishes it. It does not depend on the device: when a thief cuts the camera's power,
        its last clip is still in the hub's queue, and an event entity that followed the device
        would be unavailable (so that automations miss it) just when it matters.
worker  The worker publishes it.
always  It says itself whether its owner is there, so it must not vanish together with it.
"""

AVAILABILITY_TEMPLATE = "{{ 'online' if value == 'asleep' else value }}"
"""A sleepy device is well: its last picture and state stand. The hub says `offline` if it oversleeps."""

COMMAND_TEMPLATE = "{{ 'online' if value == 'online' else 'offline' }}"

SAYS_TEMPLATE = "{{ 'online' if value else 'offline' }}"
"""For a topic that is empty, or was never written, while there is nothing to say."""


@dataclass(frozen=True)
class Entity:
    """One row: an entity of a device, a camera, a meter, a worker or the hub."""

    key: str
    """Names it within its owner, for ever: renaming makes a new entity. Without a hyphen, unless it has a
    colon too."""
    platform: str
    ending: str
    """What its entity id adds to its owner's name; empty for the owner's main entity."""
    source: Source
    topics: Mapping[str, Callable[[str, str], Topic]]
    """Option → the topic of (device, camera or meter); of (worker, nothing) for a worker's."""
    options: Mapping[str, Any] = field(default_factory=dict)
    says: Callable[[str, str], Topic] | None = None
    """A topic that is empty while the entity cannot say anything: it is unavailable then."""


def spoken(name: str) -> str:
    """What a name of the bus reads like where nobody gave it a label: `back-yard` is Back yard."""
    words = [
        word.upper() if word in _LETTERS else word
        for word in name.replace("-", " ").replace("_", " ").split()
    ]
    text = " ".join(words)
    return text[:1].upper() + text[1:]


_LETTERS = {"ir", "led", "nas", "pc", "pir", "tv"}
"""Spoken letter by letter."""


def when_told(value: str, otherwise: str = "") -> str:
    """A template of a JSON message's `told`, and what it says of an empty one.

    A topic is emptied when its owner is removed, and Home Assistant logs every use of what is not there. An
    empty value it ignores; but attributes want an object, and an enum wants None.
    """
    told = f"{{% if value_json is defined %}}{{% set told = value_json %}}{value}"
    return f"{told}{{% else %}}{otherwise}{{% endif %}}"


def attributes_told(value: str) -> str:
    """The same for attributes."""
    return when_told(value, "{}")
