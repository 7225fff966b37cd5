"""Fifty lives of a house before the model of Home Assistant: in the end it shows what is there."""

from __future__ import annotations

import pytest

from meerkat_homeassistant.discovery import to_json
from meerkat_homeassistant.fake import TRIGGER

from .sequences import Message, Play, registered
from .world import World


class Model:
    """The real keeper between a modelled broker and a modelled Home Assistant."""

    def __init__(self) -> None:
        self.world = World()
        self.world.connect()

    def publish(self, topic: str, payload: bytes) -> None:
        self.world.broker.publish(topic, payload)
        self.world.advance(0)

    def bridge(self, *, runs: bool) -> None:
        if runs:
            self.world.restart_bridge()
        else:
            self.world.disconnect()

    def home_assistant(self, *, runs: bool) -> None:
        if runs:
            self.world.start_home_assistant()
        elif self.world.now % 2 > 1:
            self.world.home.crash()
        else:
            self.world.home.stop()
        self.world.advance(0)

    def restart_broker(self, again: list[Message] | None) -> None:
        world = self.world
        bridge, home = world.there, world.home.running
        if bridge:
            world.disconnect()
        if again is not None:
            world.broker.retained.clear()
        if bridge:
            world.connect()
        if home:
            world.home.reconnect()
        for topic, payload in again or ():
            world.broker.publish(topic, payload)
        world.advance(5)
        if home:
            world.greet()

    def delete(self, topic: str) -> None:
        self.world.delete_in_home_assistant(topic)

    def restore(self, object_id: str) -> None:
        self.world.restore(object_id)

    def wait(self, seconds: float) -> None:
        self.world.advance(seconds)

    def settle(self, play: Play) -> None:
        self.world.settle()


@pytest.mark.parametrize("seed", range(50))
def test_whatever_happens(seed: int) -> None:
    model = Model()
    play = Play(model, seed)
    try:
        play.run(40)
        home, wished = model.world.home, play.wished
        shown = {(part.platform, uid) for part, uid in home.entities.items() if part.platform != TRIGGER}
        assert shown == registered(wished)
        assert home.dead == set()
        assert (home.doubled, home.dangling, home.unknown) == ([], set(), [])
        stand = {
            topic: text
            for topic, text in model.world.broker.retained.items()
            if "homeassistant/device/" in topic
        }
        assert stand == {topic: to_json(payload) for topic, payload in wished.items()}
        nothing_more_is_said(model)
    except AssertionError as error:
        error.add_note("\n".join(play.told))
        raise


def nothing_more_is_said(model: Model) -> None:
    """Once Home Assistant has greeted, it surely knows."""
    model.world.restart_home_assistant()
    model.world.settle()
    assert model.world.home.dead == set()
    model.world.sent.clear()
    model.bridge(runs=False)
    model.bridge(runs=True)
    model.world.settle()
    assert model.world.sent == []
