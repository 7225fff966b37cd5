"""When a recording goes on by time alone, at the exact instant."""

from __future__ import annotations

from hub_support.core_driver import a_clip, an_id
from meerkat_hub.core.outputs import ClipJoined
from meerkat_hub.core.recording import HOLD, Recording
from meerkat_hub.core.records import Settled


def joined(recording: Recording, now: float) -> list[str]:
    changes = recording.advance(now, lambda: an_id(0xE001))
    return [change.id for change in changes if isinstance(change, ClipJoined)]


def test_it_wakes_for_the_first_clip_in_order_though_a_later_one_ended_before_it() -> None:
    recording = Recording(an_id(0xA000), "porch", "front")
    second, third = a_clip(2, sequence=2), a_clip(3, sequence=3)
    recording.arrive(third, 0.0)
    recording.settle(Settled(third, "done"), 0.0)
    recording.arrive(second, 20.0)
    recording.settle(Settled(second, "done"), 20.0)
    assert joined(recording, HOLD) == [], "clips 0 and 1 may come yet"
    assert recording.wake_at() == 20.0 + HOLD, "not before anything can be done"
    assert joined(recording, 20.0 + HOLD - 0.001) == []
    assert joined(recording, 20.0 + HOLD) == [second.id, third.id]
