"""What the hub says to cameras and about workflows, beside what an earlier run and others have said."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import cast

import pytest

from hub_support.orchestra import START
from meerkat_contract.errors import BadMessage
from meerkat_contract.ids import format_time
from meerkat_contract.messages import WorkflowState
from meerkat_contract.session import Incoming, Session
from meerkat_hub.adapters.desk import Desk
from meerkat_hub.adapters.frames import FrameStore
from meerkat_hub.adapters.workflow_bus import WorkflowBus, identity
from meerkat_hub.core.inputs import Input
from meerkat_hub.core.records import Now
from meerkat_hub.core.workflow_records import (
    ClearLeftovers,
    FrameArrived,
    PublishWorkflow,
    SetFrameRate,
)

FRONT = "meerkat/device/porch/front/frames/set"
BACK = "meerkat/device/porch/back/frames/set"
LOBBY = "meerkat/workflow/lobby/state"


class Bus:
    """A broker's retained topics, and a session that speaks to it: what is published is heard as well."""

    def __init__(self, **retained: bytes) -> None:
        self.retained = {FRONT: retained.get("front", b""), BACK: retained.get("back", b"")}
        self.retained[LOBBY] = retained.get("lobby", b"")
        self.said: list[tuple[str, bytes]] = []
        self._kept: dict[str, bytes] = {}
        self._handlers: list[Callable[[Incoming], None]] = []

    def subscribe(self, topic: object, handler: Callable[[Incoming], None], **_: object) -> None:
        if str(topic).endswith(("/set", "/state")):
            self._handlers.append(handler)
        else:
            self.hears_frame = handler

    def keep(self, topic: object, payload: bytes, **_: object) -> None:
        if self._kept.get(str(topic)) != payload:
            self._kept[str(topic)] = payload
            self.publish(topic, payload, retain=True)

    def publish(self, topic: object, payload: bytes, *, retain: bool, qos: int = 1) -> None:
        assert retain
        assert qos == 1
        self.said.append((str(topic), payload))
        self.retained[str(topic)] = payload

    def hears(self, topic: str, payload: bytes) -> None:
        self.retained[topic] = payload
        state, rate = self._handlers
        (state if topic.endswith("/state") else rate)(Incoming(topic, payload))

    def echoes(self) -> None:
        """Deliver to the hub what it has said itself."""
        said, self.said = self.said, []
        for topic, payload in said:
            self.hears(topic, payload)
        assert not self.said, "its own words are nothing new"


def the_hub(bus: Bus) -> WorkflowBus:
    hub = WorkflowBus(
        FrameStore(),
        Desk(lambda _: None),
        happened=lambda _: None,
        clock=lambda: Now(START, 0.0),
        new_id=str,
        address="",
    )
    hub.attach(cast(Session, bus))
    hub.subscribe()
    for topic, payload in list(bus.retained.items()):
        if payload:
            bus.hears(topic, payload)
    return hub


def a_state() -> WorkflowState:
    return WorkflowState(workflow="lobby", state="running", flow=2, max_delay=1, since=START)


def test_a_restart_is_calm_for_what_runs_on() -> None:
    bus = Bus(front=b"2", back=b"5", lobby=a_state().to_json())
    hub = the_hub(bus)
    assert bus.said == [], "it is not yet known what this run wants"
    hub.carry_out(SetFrameRate("porch", "front", 2.0))
    hub.carry_out(PublishWorkflow("lobby", a_state()))
    hub.carry_out(ClearLeftovers(frozenset({"lobby"}), frozenset({"porch/front"})))
    assert bus.said == [(FRONT, b"2"), (LOBBY, a_state().to_json()), (BACK, b"0")]
    bus.echoes()


def test_what_nobody_wants_any_more_is_taken_back_after_the_first_plan() -> None:
    bus = Bus(front=b"2", lobby=b"a state")
    hub = the_hub(bus)
    hub.carry_out(ClearLeftovers(frozenset(), frozenset()))
    assert bus.said == [(FRONT, b"0"), (LOBBY, b"")]
    bus.echoes()
    bus.hears(BACK, b"3")
    bus.hears("meerkat/workflow/attic/state", b"a state")
    assert bus.said == [(BACK, b"0"), ("meerkat/workflow/attic/state", b"")]


@pytest.mark.parametrize("wish", [b"9", b"0", b"", b"2.0", b"\xff"])
def test_another_wish_is_taken_back_each_time(wish: bytes) -> None:
    bus = Bus()
    hub = the_hub(bus)
    hub.carry_out(ClearLeftovers(frozenset(), frozenset()))
    hub.carry_out(SetFrameRate("porch", "front", 2.0))
    for _ in range(2):
        bus.echoes()
        bus.hears(FRONT, wish)
        assert bus.said == [(FRONT, b"2")]
    bus.echoes()
    hub.carry_out(SetFrameRate("porch", "front", 0.0))
    bus.echoes()
    if wish not in (b"0", b""):
        bus.hears(FRONT, wish)
        assert bus.retained[FRONT] == b"0"


def test_a_core_that_was_built_again_takes_back_what_the_first_one_had_said() -> None:
    """Its withdrawal was committed, and then something failed before the bus was told."""
    bus = Bus()
    hub = the_hub(bus)
    hub.carry_out(ClearLeftovers(frozenset(), frozenset()))
    hub.carry_out(SetFrameRate("porch", "front", 2.0))
    hub.carry_out(SetFrameRate("porch", "back", 2.0))
    hub.carry_out(PublishWorkflow("lobby", a_state()))
    bus.echoes()
    hub.carry_out(ClearLeftovers(frozenset(), frozenset({"porch/back"})))
    assert bus.said == [(FRONT, b"0"), (LOBBY, b"")]


# --- frames -----------------------------------------------------------------------------------------

PLAIN = {
    "schema": "1",
    "id": "0190a1b2-0000-7000-8000-00000000000a",
    "captured-at": "2026-11-20T08:15:00.250Z",
    "trigger": "frame",
}


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"trigger": "motion"},
        {"trigger": "hunger"},
        {"clock": "unsynced"},
        {"clock": "fast"},
        {"schema": "2"},
        {"id": PLAIN["id"].upper()},
        {"id": "../../etc"},
        {"captured-at": "2026-11-20T08:15:00.250+01:00"},
        {"captured-at": "2026-02-30T08:15:00.250Z"},
        {"captured-at": "2026-11-20T24:15:00.250Z"},
        {"captured-at": "1026-11-20T08:15:00.250Z"},
        {"captured-at": "２026-11-20T08:15:00.250Z"},
        {"captured-at": "2026-11-20T08:15:00.250Z\n"},
        {"duration": "-1"},
        {"hello": "world"},
    ],
)
@pytest.mark.parametrize("content_type", ["image/jpeg", "", "image/" + "x" * 100])
def test_what_is_said_of_a_frame_is_read_as_of_any_media(said: dict[str, str], content_type: str) -> None:
    """Looked at briefly or validated in full: the same is known then, and the same is refused."""
    message = Incoming("meerkat/device/porch/front/frame", b"", list((PLAIN | said).items()), content_type)
    try:
        known = message.metadata()
    except BadMessage as refused:
        with pytest.raises(BadMessage, match=re.escape(str(refused))):
            identity(message, dict(message.properties))
    else:
        frame, captured_at, as_said = identity(message, dict(message.properties))
        assert (frame, captured_at) == (known.id, known.captured_at)
        assert as_said in ("", format_time(known.captured_at))


def test_a_frame_is_stamped_when_the_session_hands_it_over() -> None:
    """Not when the core takes it up; and it costs one look at the clock."""
    bus, heard = Bus(), list[Input]()
    looks = iter((7.5, 8.25))
    hub = WorkflowBus(
        FrameStore(),
        Desk(lambda _: None),
        happened=heard.append,
        clock=lambda: Now(START, -1.0),
        new_id=lambda: PLAIN["id"][:-1] + "b",
        address="",
        monotonic=lambda: next(looks),
    )
    hub.attach(cast(Session, bus))
    hub.subscribe()
    for properties in (list(PLAIN.items()), []):
        bus.hears_frame(Incoming("meerkat/device/porch/front/frame", b"jpeg", properties))
    first, second = heard
    assert isinstance(first, FrameArrived)
    assert isinstance(second, FrameArrived)
    assert (first.came, second.came) == (7.5, 8.25)
    assert (second.captured_at, second.region) == (START, None)
    assert next(looks, None) is None
