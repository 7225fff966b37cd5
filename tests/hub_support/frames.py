"""Frames on a simulated clock, without a pool: what becomes of each is the test's to say."""

from __future__ import annotations

import base64
from collections import Counter
from datetime import UTC, datetime, timedelta
from struct import pack
from typing import Any

from hub_support.orchestra import FACES, an_id
from meerkat_contract.messages import (
    EventState,
    Face,
    Found,
    ModelInfo,
    Result,
    Sighting,
    Track,
)
from meerkat_hub.core.outputs import Announce, EventSaved
from meerkat_hub.core.pool.work import Dropped, Item
from meerkat_hub.core.records import Now
from meerkat_hub.core.workflow_records import FrameArrived, WorkflowSpec
from meerkat_hub.core.workflows.frames import DROPPED, Frames
from meerkat_hub.core.workflows.gallery import Gallery, Meaning, Sample
from meerkat_hub.core.workflows.outcome import Outcome

START = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
BOX = (0.25, 0.25, 0.125, 0.25)
MODEL = ModelInfo(name="an-embedder", sha256="ab" * 32)

PEOPLE = {1: "ada", 2: "bob"}
"""The first number of their embeddings."""


def gallery() -> Gallery:
    samples = [
        Sample(an_id(0xFA00 + number), name, MODEL.sha256, (float(number), 0.0))
        for number, name in PEOPLE.items()
    ]
    return Gallery(samples, {MODEL.sha256: Meaning(threshold=0.4)})


class Bench:
    """What waits, what was forgotten, what was decided; each step is checked."""

    def __init__(self, **workflows: WorkflowSpec) -> None:
        self._numbers = 0
        self.frames = Frames(self._new_id, gallery())
        self.mono = 100.0
        self.specs = dict(workflows)
        self.waiting: dict[str, Item] = {}
        self.forgotten: Counter[str] = Counter()
        self.sent: list[str] = []
        self.changes: list[EventSaved | Announce] = []
        self.notes: list[str] = []
        self.frames.run(self.specs, self.specs)

    def _new_id(self) -> str:
        self._numbers += 1
        return an_id(self._numbers)

    @property
    def now(self) -> Now:
        return Now(START + timedelta(seconds=self.mono), self.mono)

    def take(self, step: Outcome) -> Outcome:
        self.waiting.update({item.id: item for item in step.items})
        self.forgotten.update(effect.frame for effect in step.effects)
        self.changes += step.changes
        self.notes += step.notes
        assert all(count == 1 for count in self.forgotten.values()), "forgotten twice"
        for name in self.specs:
            counts = Counter(self.frames.counts(name))
            ended = sum(counts[fate] for fate in ("nothing", "decided", *DROPPED))
            assert counts["received"] == ended + counts["in_work"], counts
        return step

    def frame(
        self,
        found: tuple[Found, ...] | None = None,
        *,
        by: str = FACES,
        camera: str = "front",
        came: float | None = None,
    ) -> Outcome:
        frame_id = self._new_id()
        self.sent.append(frame_id)
        arrived = FrameArrived(
            frame_id,
            "porch",
            camera,
            self.now.wall,
            50_000,
            found=found,
            found_by=by,
            model=MODEL,
            came=came,
        )
        return self.take(self.frames.arrived(arrived, self.now))

    def answer(self, item: Item, **result: Any) -> Outcome:
        del self.waiting[item.id]
        body = {
            "job": item.id,
            "token": 1,
            "incarnation": an_id(1),
            "state": "done",
            "model": MODEL,
            **result,
        }
        return self.take(self.frames.result(item.id, Result.model_validate(body), self.now))

    def drop(self, item: Item, reason: str) -> Outcome:
        del self.waiting[item.id]
        return self.take(self.frames.dropped(Dropped(item, reason)))

    def only(self) -> Item:
        (item,) = self.waiting.values()
        return item

    def counts(self, name: str = "lobby") -> dict[str, int]:
        return self.frames.counts(name)

    def events(self) -> list[EventState]:
        return [change.record.state for change in self.changes if isinstance(change, EventSaved)]


def a_track(score: float = 0.9, label: str = "face", picture: bytes | None = None) -> Track:
    sighting = Sighting(at=0, score=score, box=BOX)
    encoded = base64.b64encode(picture) if picture else None
    return Track(
        track=0, label=label, score=score, hits=1, sightings=(sighting,), best=sighting, picture=encoded
    )


def a_face(number: int, picture: bytes | None = None, quality: float = 0.9) -> Face:
    encoded = base64.b64encode(picture) if picture else None
    embedding = base64.b64encode(pack("<2f", number, 0))
    return Face(box=BOX, score=0.9, quality=quality, embedding=embedding, picture=encoded)


def found(score: float = 0.9, label: str = "face") -> Found:
    return Found(label=label, score=score, box=BOX)
