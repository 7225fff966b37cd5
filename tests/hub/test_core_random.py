"""Random lives of a hub: whatever happens in whatever order, every clip ends once and events make sense."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from hub_support.core_driver import CoreDriver, an_id, track
from meerkat_contract.messages import Event
from meerkat_hub.core.clips import CoreSettings
from meerkat_hub.core.inputs import BusChanged, SendFailed, WorkerAbsent
from meerkat_hub.core.outputs import RecordingClosed
from meerkat_hub.core.records import Clip

LIVES = 150
STEPS = 60


class Life:
    """One random course of events, made of a seed."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.core = CoreDriver(settings=CoreSettings(expire_after=600))
        self.clips: dict[str, Clip] = {}
        self.starts: dict[str, int] = {}
        self.next_start = 0
        self.recordings = 0

    def live(self) -> None:
        for _ in range(STEPS):
            self.chance.choice(
                (self.record, self.record, self.answer, self.answer, self.worker, self.pass_time, self.mishap)
            )()
        self.settle()

    def record(self) -> None:
        """A recording of a few clips, which may arrive out of order, twice, or not at all."""
        self.recordings += 1
        count = self.chance.randint(1, 4)
        order = list(range(count))
        if self.chance.random() < 0.3:
            self.chance.shuffle(order)
        for sequence in order:
            if self.chance.random() < 0.1:
                continue
            number = self.recordings * 100 + sequence
            clip = self.core.clip(
                number, sequence=sequence, recording=0xA0000 + self.recordings, last=sequence == count - 1
            )
            self.clips[clip.id] = clip
            if self.chance.random() < 0.1:
                self.core.clip(number, sequence=sequence, recording=0xA0000 + self.recordings)

    def answer(self) -> None:
        if not self.core.core.leases:
            return
        lease = self.chance.choice(self.chance.choice(list(self.core.core.leases.values())))
        start = self.starts[lease.worker]
        kind = self.chance.random()
        if kind < 0.1:
            self.core.answer(
                self.clips[lease.item.id], state="failed", retry=True, reason="no memory", start=start
            )
        elif kind < 0.2:
            self.core.answer(self.clips[lease.item.id], state="failed", reason="damaged", start=start)
        elif kind < 0.3:
            self.core.answer(self.clips[lease.item.id], track(), token=lease.token - 1, start=start)
        else:
            x = 0.25 * self.clips[lease.item.id].sequence
            people = [track(x=(x, x + 0.24), score=self.chance.uniform(0.3, 1.0))]
            self.core.answer(self.clips[lease.item.id], *people[: self.chance.randint(0, 1)], start=start)

    def worker(self) -> None:
        name = self.chance.choice(("cpu", "coral", "jetson"))
        if name in self.starts and self.chance.random() < 0.5:
            self.core.worker(name, start=self.starts.pop(name), online=False)
        else:
            self.next_start += 1
            self.starts[name] = self.next_start
            self.core.worker(name, start=self.next_start, fps=self.chance.choice((2, 10, 50)))

    def pass_time(self) -> None:
        self.core.turn(self.chance.choice((0.1, 5.0, 31.0, 61.0)))

    def mishap(self) -> None:
        kind = self.chance.random()
        if kind < 0.4:
            self.core.do(BusChanged(up=False))
            self.core.do(BusChanged(up=True))
        elif self.core.core.leases:
            lease = self.chance.choice(self.chance.choice(list(self.core.core.leases.values())))
            if kind < 0.7:
                self.core.do(SendFailed(lease.item.id, lease.token, "offline"))
            else:
                self.core.do(WorkerAbsent(lease.worker, lease.item.id, lease.token))
                self.starts.pop(lease.worker, None)

    def settle(self) -> None:
        """Let everything end: by an answer, by a lease, at the latest by expiry."""
        self.next_start += 1
        self.starts = {"last": self.next_start}
        for name in list(self.core.core.workers):
            self.core.worker(
                name, online=False, start=int(self.core.core.workers[name].incarnation[-4:], 16) - 0xB000
            )
        self.core.worker("last", start=self.next_start, window=8)
        for _ in range(10_000):
            if not self.core.core.leases and not self.core.core.waiting:
                break
            for lease in [held for leases in self.core.core.leases.values() for held in leases]:
                self.core.answer(self.clips[lease.item.id], start=self.next_start)
        self.core.turn(700)
        self.core.turn(700)


def check_grammar(events: list[Event]) -> None:
    """new, then updates and ends with growing revisions; the last word is end."""
    by_id: dict[str, list[Event]] = {}
    for event in events:
        by_id.setdefault(event.after.id, []).append(event)
    for story in by_id.values():
        assert story[0].type == "new"
        assert story[0].before is None
        assert story[-1].type == "end"
        assert [e.type for e in story].count("new") == 1
        for before, after in pairwise(story):
            assert after.before == before.after
            assert after.after.revision == before.after.revision + 1


@pytest.mark.parametrize("seed", range(LIVES))
def test_every_clip_ends_once_and_every_event_is_told_whole(seed: int) -> None:
    life = Life(seed)
    life.live()
    core = life.core
    core.check()
    assert {clip_id for clip_id, _ in core.settled()} == set(life.clips)
    outcomes = [outcome.id for outcome in core.outcomes()]
    assert sorted(outcomes) == sorted(life.clips), "each clip's outcome is told exactly once"
    check_grammar(core.events())
    assert core.core.recordings == {}
    closed = {change.id for change in core.changes if isinstance(change, RecordingClosed)}
    assert closed == {clip.recording for clip in life.clips.values()}
    assert an_id(0) not in outcomes
