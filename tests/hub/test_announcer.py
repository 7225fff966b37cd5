"""What is announced goes out in order, and a camera's picture stays until its event could be acted upon."""

from __future__ import annotations

from typing import Any

import pytest

from meerkat_contract.session import Delivery
from meerkat_hub.adapters.announcer import FLOOD, GAP, Announcer
from meerkat_hub.adapters.store import Waiting
from meerkat_hub.core.outputs import Announce

FRONT, BACK = "meerkat/camera/porch/front/event", "meerkat/camera/porch/back/event"


class Session:
    """A session that is connected and notes what is published."""

    connected = True

    def __init__(self) -> None:
        self.topics: list[str] = []

    def publish(self, topic: str, *args: Any, **kwargs: Any) -> Delivery:
        self.topics.append(topic)
        return Delivery()


class Desk:
    def __init__(self) -> None:
        self.session, self.now, self._seq = Session(), 100.0, 0
        self.announcer = Announcer(
            self.session,  # type: ignore[arg-type]
            lambda _: b"\xff\xd8",
            lambda seq, error: None,
            now=lambda: self.now,
        )

    def event(self, topic: str) -> None:
        """A picture and its event, as the hub commits them."""
        for announce in (
            Announce(f"{topic}/picture", retain=True, event_picture="an-event"),
            Announce(topic, b"{}"),
        ):
            self._seq += 1
            self.announcer.add([Waiting(self._seq, announce)])

    @property
    def sent(self) -> list[str]:
        sent, self.session.topics = self.session.topics, []
        return sent


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_the_next_picture_of_a_camera_waits_until_the_last_could_be_fetched(desk: Desk) -> None:
    desk.event(FRONT)
    desk.event(FRONT)
    until = desk.announcer.pump()
    assert desk.sent == [f"{FRONT}/picture", FRONT]
    assert until == pytest.approx(desk.now + GAP)
    desk.now += GAP / 2
    assert desk.announcer.pump() == until
    assert desk.sent == []
    desk.now = until
    assert desk.announcer.pump() is None
    assert desk.sent == [f"{FRONT}/picture", FRONT]


def test_another_camera_waits_for_nothing(desk: Desk) -> None:
    desk.event(FRONT)
    desk.event(BACK)
    assert desk.announcer.pump() is None
    assert desk.sent == [f"{FRONT}/picture", FRONT, f"{BACK}/picture", BACK]


def test_what_comes_behind_a_held_picture_stays_behind_it(desk: Desk) -> None:
    desk.event(FRONT)
    desk.event(FRONT)
    desk.event(BACK)
    desk.announcer.pump()
    assert len(desk.sent) == 2
    desk.now += GAP
    desk.announcer.pump()
    assert desk.sent == [f"{FRONT}/picture", FRONT, f"{BACK}/picture", BACK]


def test_a_flood_is_not_held_back(desk: Desk) -> None:
    for _ in range(FLOOD):
        desk.event(FRONT)
    until = desk.announcer.pump()
    assert until is not None
    assert len(desk.sent) > FLOOD, "all but what is no flood any more"
