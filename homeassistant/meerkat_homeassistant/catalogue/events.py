"""The types of a camera's event entity, and how a message becomes one of them."""

from __future__ import annotations

from collections.abc import Iterable

from meerkat_contract.vocabulary import CATEGORIES

EVENT_TYPES: tuple[str, ...] = (
    "person",
    "known_person",
    "unknown_person",
    *(name for name in CATEGORIES if name != "person"),
    "package",
    "object",
)
"""person (whom nobody has looked in the face), known_person and unknown_person (who was), vehicle, animal,
package, and object for whatever else an own model finds."""

PACKAGES = ("package", "parcel")
"""Labels of a package. The models that are fetched by themselves know none; an own one may."""

INSTEAD = {"known_person": "person", "unknown_person": "person", "package": "object"}
"""What is told of a type that nobody wants for itself."""


def event_template(types: Iterable[str] = EVENT_TYPES) -> str:
    """Turns the message of a new event into what an event entity wants.

    An `update` or `end`, and a type that is not wanted, render to nothing, which Home Assistant ignores
    without a log line: one event triggers an automation once.
    """
    wanted = list(types)
    return (
        "{% if value_json.type == 'new' %}{% set event = value_json.after %}"
        "{% set kind = 'known_person' if event.get('identity')"
        " else 'unknown_person' if event.get('stranger')"
        f" else 'package' if event.label in {list(PACKAGES)!r}"
        f" else event.category if event.category in {list(CATEGORIES)!r} else 'object' %}}"
        f"{{% set kind = kind if kind in {wanted!r} else {INSTEAD!r}.get(kind) %}}"
        f"{{% if kind in {wanted!r} %}}"
        "{{ {'event_type': kind,"
        " 'event_id': event.id, 'label': event.label, 'score': event.score | round(2),"
        " 'start_time': event.start_time, 'device': event.device, 'camera': event.camera,"
        " 'zones': event.get('zones', []), 'identity': event.get('identity'),"
        " 'workflow': event.get('workflow'), 'alert': event.get('alert', false),"
        " 'reason': event.get('reason', '')} | to_json }}{% endif %}{% endif %}"
    )
