"""From what stands on the broker to what should."""

from __future__ import annotations

from meerkat_homeassistant.diff import Change, next_messages
from meerkat_homeassistant.discovery import Payload

CAMERA = {"p": "camera", "uniq_id": "c", "t": "x"}
MOTION = {"p": "binary_sensor", "uniq_id": "m", "stat_t": "x"}


def device(parts: dict[str, Payload], children: dict[str, dict[str, Payload]] | None = None) -> Payload:
    payload: Payload = {"dev": {"ids": ["d"]}, "cmps": parts}
    if children:
        payload["cdevs"] = [{"ids": [name], "cmps": own} for name, own in children.items()]
    return payload


def messages(before: Payload | None, after: Payload) -> list[Payload | None]:
    """Every message it takes, one after another."""
    published = {} if before is None else {"t": before}
    sent = []
    while changes := next_messages(published, {"t": after}):
        assert len(sent) < 5, "does not come to an end"
        sent.append(changes[0].payload)
        published["t"] = changes[0].payload or {}
    return sent


def test_nothing_is_sent_for_nothing_new() -> None:
    assert next_messages({"t": device({"a": CAMERA})}, {"t": device({"a": dict(CAMERA)})}) == []


def test_a_new_device_is_one_message() -> None:
    assert messages(None, device({"a": CAMERA})) == [device({"a": CAMERA})]


def test_a_change_is_one_message() -> None:
    after = device({"a": {**CAMERA, "name": "x"}, "b": MOTION})
    assert messages(device({"a": CAMERA}), after) == [after]


def test_a_component_is_removed_by_a_stub_and_then_left_out() -> None:
    before, after = device({"a": CAMERA, "b": MOTION}), device({"a": CAMERA})
    assert messages(before, after) == [device({"a": CAMERA, "b": {"p": "binary_sensor"}}), after]


def test_a_child_device_is_removed_with_stubs_for_all_it_had() -> None:
    before = device({"a": CAMERA}, {"x": {"b": MOTION}, "y": {"c": CAMERA}})
    after = device({"a": CAMERA}, {"x": {"b": MOTION}})
    stubs = device({"a": CAMERA, "c": {"p": "camera"}}, {"x": {"b": MOTION}})
    assert messages(before, after) == [stubs, after]


def test_a_component_of_another_kind_is_removed_before_it_comes_back() -> None:
    before, after = device({}, {"x": {"a": CAMERA}}), device({}, {"x": {"a": {**CAMERA, "p": "image"}}})
    assert messages(before, after) == [device({"a": {"p": "camera"}}), after]


def test_what_returns_while_it_is_being_removed_is_simply_sent() -> None:
    stubs, full = device({"a": CAMERA, "b": {"p": "binary_sensor"}}), device({"a": CAMERA, "b": MOTION})
    assert messages(stubs, full) == [full]


def test_a_device_is_removed_by_an_empty_message_unless_kept() -> None:
    published = {"t": device({"a": CAMERA}), "u": device({"a": CAMERA})}
    assert next_messages(published, {}, keep={"u"}) == [Change("t", None)]


def test_the_order_is_that_of_the_wanted_and_removals_come_last() -> None:
    published = {"a": device({"a": CAMERA})}
    wanted = {"hub": device({"a": CAMERA}), "b": device({"a": CAMERA})}
    assert [change.topic for change in next_messages(published, wanted)] == ["hub", "b", "a"]
