"""Which boxes of successive pictures are one and the same object.

In the manner of ByteTrack (Zhang et al., ECCV 2022), on media time instead of frame counts:

1. every track that is alive says where its object should be now (constant velocity);
2. boxes that score at least START are given to tracks, best fitting pair first;
3. a strong box that is left continues a track that is left though their labels differ, when they are
   in the same place: small models call the head of a person who comes near a cat for a moment;
4. weaker boxes are given to the tracks that are left: they keep a track alive, they start none;
5. a strong box that no track wants starts a new one;
6. at the clip's end a brief track of another kind that lies within a lasting one goes into it: the
   same head, when the whole person came into view only after it.

A track without a box stays alive for GAP seconds of media, less when its object was on its way out
of the picture: the next who walks in there is somebody else. Pure: no clock, no pictures.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from meerkat_contract.messages import Sighting, Track
from meerkat_contract.vocabulary import category

if TYPE_CHECKING:
    from .detector import Found

START = 0.5
"""Score that starts a track and counts as a hit: the working point of every model."""
GAP = 1.5
"""Seconds of media without a box after which a track is over."""
OVERLAP = 0.2
"""Intersection over union with the prediction from which a weak box continues a track."""
REACH = 1.5
"""How far a strong box may lie from the prediction, in widths and heights, when they do not overlap."""
SAME = 0.6
"""Two boxes of one picture that overlap this much are one object found twice."""
INSIDE = 0.85
"""…and so are two when this share of the smaller lies within the larger."""
RENAMED = 0.5
"""Intersection over union from which a box of another label continues a track…"""
ALIKE = 0.7
"""…and from which two boxes of one picture with different labels are one object."""
BRIEF = 3
"""A track with no more hits than this may have been a lasting one under a wrong name."""
LASTING = 3
"""How many times the hits the lasting one must have."""
ADJOINING = 0.6
"""Seconds of media between sightings of the two that are compared."""
GONE = 0.35
"""A track whose predicted box has no more than this share within the picture has left it."""
BORDER = 0.01
"""An object that comes closer than this to the picture's edge may be cut off by it."""

_MOMENT = 0.001

Box = tuple[float, float, float, float]


def overlap(a: Box, b: Box) -> float:
    """Intersection over union, 0..1."""
    shared = _shared(a, b)
    return shared / (a[2] * a[3] + b[2] * b[3] - shared) if shared else 0.0


def kind(label: str) -> str:
    """What may be one object: vehicles and animals are often called by each other's names."""
    group = category(label)
    return group if group in ("vehicle", "animal") else label


def renamed(a: str, b: str) -> bool:
    """Whether two different kinds may be one object by mistake. A face is on somebody, not instead."""
    return "face" not in (a, b)


def whole(box: Box) -> bool:
    """Whether the object lies within the picture, not cut off by its edge."""
    x, y, width, height = box
    return x > BORDER and y > BORDER and x + width < 1 - BORDER and y + height < 1 - BORDER


def merit(found: Found) -> float:
    """How well a box shows its object: score times size, halved when the edge cuts it off.

    Size is the square root of the area: someone twice as near counts twice.
    """
    size = float((found.box[2] * found.box[3]) ** 0.5)
    return found.score * size * (1.0 if whole(found.box) else 0.5)


def distinct(founds: Iterable[Found]) -> list[Found]:
    """Best first, without those that show what a better one shows already."""
    kept: list[Found] = []
    for found in sorted(founds, key=lambda each: each.score, reverse=True):
        if not any(_duplicate(found, other) for other in kept):
            kept.append(found)
    return kept


@dataclass(slots=True, eq=False)
class Followed:
    """One object while it is followed. `best` is the sighting with the highest merit of the strong ones."""

    number: int
    founds: list[Found] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    best: int = 0
    _votes: dict[str, float] = field(default_factory=dict)
    _velocity: tuple[float, float] = (0.0, 0.0)

    @property
    def label(self) -> str:
        """The label with the highest sum of scores."""
        return max(self._votes, key=lambda label: self._votes[label])

    @property
    def hits(self) -> int:
        return sum(found.score >= START for found in self.founds)

    def add(self, at: float, found: Found) -> bool:
        """Take the box seen at `at`; true when it is the best so far."""
        if self.times:
            span = at - self.times[-1]
            step = _between(self.founds[-1].box, found.box)
            weight = 1.0 if len(self.times) == 1 else 0.5
            self._velocity = (
                self._velocity[0] + weight * (step[0] / span - self._velocity[0]),
                self._velocity[1] + weight * (step[1] / span - self._velocity[1]),
            )
        self.founds.append(found)
        self.times.append(at)
        self._votes[found.label] = self._votes.get(found.label, 0.0) + found.score
        better = len(self.founds) == 1 or (
            found.score >= START and merit(found) > merit(self.founds[self.best])
        )
        if better:
            self.best = len(self.founds) - 1
        return better

    def absorb(self, other: Followed) -> None:
        """Take over what another track saw at times when this one saw nothing; the best stays."""
        best = self.times[self.best]
        seen = dict(zip(other.times, other.founds, strict=True)) | dict(
            zip(self.times, self.founds, strict=True)
        )
        self.times = sorted(seen)
        self.founds = [seen[at] for at in self.times]
        self.best = self.times.index(best)
        for label, votes in other._votes.items():
            self._votes[label] = self._votes.get(label, 0.0) + votes

    def predict(self, at: float) -> Box:
        """Where its box should be at this time; it may lie outside of the picture."""
        x, y, width, height = self.founds[-1].box
        span = at - self.times[-1]
        return (x + self._velocity[0] * span, y + self._velocity[1] * span, width, height)

    def over(self, at: float) -> bool:
        """Whether it can no longer be continued."""
        if at - self.times[-1] > GAP:
            return True
        box = self.predict(at)
        return _shared(box, (0.0, 0.0, 1.0, 1.0)) <= GONE * box[2] * box[3]

    def message(self, picture: bytes | None = None) -> Track:
        """The track as it travels, with the JPEG of its best frame."""
        sightings = tuple(
            Sighting(
                at=round(at, 3),
                score=round(min(1.0, found.score), 3),
                box=_fractions(found.box),
            )
            for at, found in zip(self.times, self.founds, strict=True)
        )
        return Track(
            track=self.number,
            label=self.label,
            score=sightings[self.best].score,
            hits=self.hits,
            sightings=sightings,
            best=sightings[self.best],
            picture=None if picture is None else b64encode(picture),  # the message takes it encoded
        )


class Tracker:
    """Feed it the boxes of each sampled picture in order of time."""

    def __init__(self) -> None:
        self._alive: list[Followed] = []
        self._count = 0

    def update(self, at: float, founds: Sequence[Found]) -> tuple[list[Followed], list[Followed]]:
        """The boxes of the picture at `at` (seconds, later than the one before).

        Returns the tracks of which this picture is the best so far, and those that are now over.
        """
        over = [track for track in self._alive if track.over(at)]
        self._alive = [track for track in self._alive if track not in over]
        boxes = distinct(founds)
        strong = [found for found in boxes if found.score >= START]
        weak = [found for found in boxes if found.score < START]
        pairs, left, free = _pair(self._alive, strong, lambda t, f: _near(t, f, at))
        more, left, free = _pair(free, left, lambda t, f: _instead(t, f, at))
        weaker, _, _ = _pair(free, weak, lambda t, f: _faint(t, f, at))
        improved = [track for track, found in pairs + more + weaker if track.add(at, found)]
        for found in left:
            track = Followed(self._count)
            self._count += 1
            track.add(at, found)
            self._alive.append(track)
            improved.append(track)
        return improved, over

    def finish(self) -> list[Followed]:
        """The tracks that were alive at the end of the clip."""
        alive, self._alive = self._alive, []
        return alive


def settle(tracks: Sequence[Followed]) -> list[Followed]:
    """All tracks of a clip, by number, without those that were a lasting one under a wrong name."""
    lasting = sorted(tracks, key=lambda track: track.hits, reverse=True)
    kept: list[Followed] = []
    for track in lasting:
        into = next((other for other in kept if _misnamed(track, other)), None)
        if into is None:
            kept.append(track)
        else:
            into.absorb(track)
    return sorted(kept, key=lambda track: track.number)


def _misnamed(brief: Followed, lasting: Followed) -> bool:
    """Whether a brief track is a lasting one of another kind.

    It is when they are in one place where they come nearest in time, and whenever both are seen.
    """
    if brief.hits > BRIEF or lasting.hits < LASTING * brief.hits:
        return False
    if kind(brief.label) == kind(lasting.label) or not renamed(brief.label, lasting.label):
        return False
    gaps = [
        (abs(then - at), found.box, other.box)
        for at, found in zip(brief.times, brief.founds, strict=True)
        for then, other in zip(lasting.times, lasting.founds, strict=True)
        if abs(then - at) <= ADJOINING
    ]
    nearest = min((gap for gap, _, _ in gaps), default=ADJOINING)
    together = [(box, other) for gap, box, other in gaps if gap <= max(nearest, _MOMENT)]
    return bool(together) and all(
        _shared(box, other) >= INSIDE * box[2] * box[3] or overlap(box, other) >= OVERLAP
        for box, other in together
    )


def _pair(
    tracks: list[Followed], founds: list[Found], fit: Callable[[Followed, Found], float]
) -> tuple[list[tuple[Followed, Found]], list[Found], list[Followed]]:
    """One box for a track and one track for a box, best fit first; then the boxes and tracks left over."""
    fits = sorted(
        (
            (value, t, f)
            for t, track in enumerate(tracks)
            for f, found in enumerate(founds)
            if (value := fit(track, found)) > 0
        ),
        key=lambda entry: entry[0],
        reverse=True,
    )
    taken: dict[int, int] = {}
    used: set[int] = set()
    for _, t, f in fits:
        if t not in taken and f not in used:
            taken[t] = f
            used.add(f)
    return (
        [(tracks[t], founds[f]) for t, f in taken.items()],
        [found for f, found in enumerate(founds) if f not in used],
        [track for t, track in enumerate(tracks) if t not in taken],
    )


def _near(track: Followed, found: Found, at: float) -> float:
    """1 + overlap with the prediction; below 1 by distance where they only lie near; else 0."""
    if kind(track.label) != kind(found.label):
        return 0.0
    predicted, box = track.predict(at), found.box
    if shared := overlap(predicted, box):
        return 1 + shared
    step = _between(predicted, box)
    width, height = (predicted[2] + box[2]) / 2, (predicted[3] + box[3]) / 2
    if not width or not height:
        return 0.0
    distance = float(((step[0] / width) ** 2 + (step[1] / height) ** 2) ** 0.5)
    return max(0.0, 1 - distance / REACH)


def _instead(track: Followed, found: Found, at: float) -> float:
    """Overlap of two different kinds that are in one place."""
    shared = overlap(track.predict(at), found.box)
    return shared if shared >= RENAMED and renamed(track.label, found.label) else 0.0


def _faint(track: Followed, found: Found, at: float) -> float:
    """Overlap of a weak box with the prediction."""
    if kind(track.label) != kind(found.label):
        return 0.0
    shared = overlap(track.predict(at), found.box)
    return shared if shared >= OVERLAP else 0.0


def _duplicate(found: Found, better: Found) -> bool:
    a, b = found.box, better.box
    shared = _shared(a, b)
    if not shared:
        return False
    if kind(found.label) != kind(better.label):
        return renamed(found.label, better.label) and overlap(a, b) >= ALIKE
    return shared >= INSIDE * min(a[2] * a[3], b[2] * b[3]) or overlap(a, b) >= SAME


def _shared(a: Box, b: Box) -> float:
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    return width * height if width > 0 and height > 0 else 0.0


def _between(a: Box, b: Box) -> tuple[float, float]:
    """From the centre of a to the centre of b."""
    return (b[0] + b[2] / 2 - a[0] - a[2] / 2, b[1] + b[3] / 2 - a[1] - a[3] / 2)


def _fractions(box: Box) -> Box:
    x, y = (min(1.0, max(0.0, round(value, 4))) for value in box[:2])
    return (x, y, min(1 - x, max(0.0, round(box[2], 4))), min(1 - y, max(0.0, round(box[3], 4))))
