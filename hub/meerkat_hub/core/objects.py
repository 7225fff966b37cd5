"""From the tracks of single clips to objects of a whole recording.

Clips are joined strictly in the order of the recording, whatever order their results come in:
a clip's tracks wait until every clip before it has ended. So an object keeps its identity, and
nobody who walks through three clips becomes two.

A track continues an object when the labels agree (or are both of one category, as a car that is
taken for a truck in one clip), the time between the object's last sighting and the track's first
is at most MAX_GAP, and the track begins where the object was last seen, carried on by its
velocity: the boxes overlap, or their centres lie within REACH box sizes. The best pairs are taken
first, one to one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from meerkat_contract.messages import Box, ModelInfo, Sighting, Track
from meerkat_contract.vocabulary import category

from .records import Place, Settled

MAX_GAP = 2.0
"""Seconds without a sighting that one object may have between two clips."""

MAX_OVERLAP = 0.5
"""Seconds that a track may begin before the object's last sighting: clips can share a frame."""

REACH = 1.5
"""Distance between centres, in box sizes, within which a track may continue an object."""

GUESS_HITS = 3
GUESS_GAP = 0.6
"""A label seen in at most GUESS_HITS frames is a guess: within GUESS_GAP seconds and in the same place the
track is the same object by another name, as somebody's head that was taken for a cat when it came in."""

EVENT_SCORE = 0.5
EVENT_HITS = 2
"""An object is an event when it scores EVENT_SCORE in at least EVENT_HITS sampled frames."""


@dataclass(slots=True)
class Object:
    """One thing that was seen in a recording."""

    members: list[tuple[str, int]] = field(default_factory=list)
    """(clip id, track number), in order of time."""
    first: datetime | None = None
    last: Place | None = None
    velocity: tuple[float, float] = (0.0, 0.0)
    """Of the centre at its last sightings, fractions of the picture per second."""
    best: Place | None = None
    picture: bytes | None = None
    """JPEG of the best frame, until it is saved with the event."""
    hits: int = 0
    weights: dict[str, float] = field(default_factory=dict)
    model: ModelInfo | None = None
    event_id: str | None = None

    @property
    def label(self) -> str:
        """The label with the largest sum of scores over all sightings."""
        return max(self.weights, key=lambda name: (self.weights[name], name))

    @property
    def is_event(self) -> bool:
        return self.best is not None and self.best.score >= EVENT_SCORE and self.hits >= EVENT_HITS

    @property
    def clips(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(clip for clip, _ in self.members))

    def add(self, settled: Settled, track: Track) -> None:
        """Take in a track of the next clip."""
        clip = settled.clip
        if not self.members:
            self.first = _moment(settled, track.sightings[0])
        self.members.append((clip.id, track.track))
        self.hits += track.hits
        self.weights[track.label] = self.weights.get(track.label, 0.0) + sum(s.score for s in track.sightings)
        self.model = settled.model or self.model
        final = track.sightings[-1]
        self.last = Place(_moment(settled, final), final.box, final.score, clip.id, track.track)
        self.velocity = _velocity(track.sightings)
        if self.best is None or track.best.score > self.best.score:
            at = _moment(settled, track.best)
            self.best = Place(at, track.best.box, track.best.score, clip.id, track.track)
            self.picture = track.picture


def join(objects: list[Object], settled: Settled) -> list[Object]:
    """Give each track of the next clip to the object it continues, or make it a new one.

    Appends new objects to `objects` and returns those that changed, in order of their first sighting.
    """
    pairs = sorted(
        (
            (cost, i, j)
            for i, known in enumerate(objects)
            for j, track in enumerate(settled.tracks)
            if (cost := _distance(known, settled, track)) is not None
        ),
    )
    owner: dict[int, int] = {}
    for _, i, j in pairs:
        if j not in owner and i not in owner.values():
            owner[j] = i
    changed: list[Object] = []
    order = sorted(range(len(settled.tracks)), key=lambda j: (settled.tracks[j].sightings[0].at, j))
    for j in order:
        target = objects[owner[j]] if j in owner else Object()
        target.add(settled, settled.tracks[j])
        if j not in owner:
            objects.append(target)
        changed.append(target)
    return changed


def _moment(settled: Settled, sighting: Sighting) -> datetime:
    return settled.clip.captured_at + timedelta(seconds=sighting.at)


def _velocity(sightings: Sequence[Sighting]) -> tuple[float, float]:
    """Of the centre over the last second of sightings."""
    end = sightings[-1]
    begin = next(s for s in sightings if end.at - s.at <= 1.0)
    span = end.at - begin.at
    if span <= 0:
        return (0.0, 0.0)
    (x0, y0), (x1, y1) = _centre(begin.box), _centre(end.box)
    return ((x1 - x0) / span, (y1 - y0) / span)


def _distance(known: Object, settled: Settled, track: Track) -> float | None:
    """How far a track begins from where the object should be, in box sizes; None when it cannot be it."""
    if known.last is None or known.last.clip == settled.clip.id:
        return None
    first = track.sightings[0]
    gap = (_moment(settled, first) - known.last.at).total_seconds()
    if not -MAX_OVERLAP <= gap <= MAX_GAP:
        return None
    if not _same_kind(known.label, track.label) and not (
        min(known.hits, track.hits) <= GUESS_HITS and gap <= GUESS_GAP and _overlap(known.last.box, first.box)
    ):
        return None
    near = max(gap, 0.0)
    here = _centre(first.box)
    was = _centre(known.last.box)
    carried = (was[0] + known.velocity[0] * near, was[1] + known.velocity[1] * near)
    size = max(*known.last.box[2:], *first.box[2:], 1e-6)
    apart = min(_apart(here, carried), _apart(here, was)) / size
    if apart <= REACH or _overlap(known.last.box, first.box):
        return apart
    return None


def _same_kind(a: str, b: str) -> bool:
    return a == b or (category(a) == category(b) and category(a) in ("vehicle", "animal"))


def _centre(box: Box) -> tuple[float, float]:
    return (box[0] + box[2] / 2, box[1] + box[3] / 2)


def _apart(a: tuple[float, float], b: tuple[float, float]) -> float:
    return float(((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2) ** 0.5)


def _overlap(a: Box, b: Box) -> bool:
    return min(a[0] + a[2], b[0] + b[2]) > max(a[0], b[0]) and min(a[1] + a[3], b[1] + b[3]) > max(a[1], b[1])
