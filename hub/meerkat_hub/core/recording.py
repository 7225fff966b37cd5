"""One recording: its clips in order, the objects in them, and the events they became.

    clip arrives ──► pending ──(result, failure, expiry)──► settled ──(all before it settled)──► joined
                                                                          │
    closed when the last clip is joined, or when none came for a while ◄──┘

A clip that is missing (its predecessors were seen, it never came) holds back those after it for at
most HOLD seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from meerkat_contract.messages import RECORDING_GAP, EventState

from .announcements import clip_messages, event_message, event_state
from .objects import EVENT_SCORE, Object, join
from .outputs import Change, ClipJoined, EventSaved, RecordingClosed
from .records import Clip, EventRecord, RecordingSnapshot, Settled
from .zones import ZonesOf, no_zones, zones_of

HOLD = RECORDING_GAP.total_seconds()

IN_VIEW = 60.0
"""Seconds after its last sighting for which a thing counts as in view; a clip sent late counts nobody."""


@dataclass(slots=True)
class Recording:
    id: str
    device: str
    camera: str
    pending: dict[str, Clip] = field(default_factory=dict)
    settled: dict[str, tuple[Settled, float]] = field(default_factory=dict)
    """Ended but not joined yet, by clip id, with the monotonic time of their end."""
    joined: list[Settled] = field(default_factory=list)
    objects: list[Object] = field(default_factory=list)
    events: dict[str, EventRecord] = field(default_factory=dict)
    last_sequence: int | None = None
    touched: float = 0.0
    """Monotonic time of the latest arrival or settlement."""
    pictured: bool = False
    """Whether any track came with a picture; the database has it until the recording is closed."""
    patience: float = HOLD
    """Seconds without a further clip after which the recording is taken as closed."""
    zones_of: ZonesOf = no_zones

    def arrive(self, clip: Clip, now: float) -> None:
        self.pending[clip.id] = clip
        self.touched = now
        self.patience = max(self.patience, HOLD + clip.duration)
        if clip.last:
            self.last_sequence = max(clip.sequence, self.last_sequence or 0)

    def settle(self, settled: Settled, now: float) -> None:
        self.pending.pop(settled.clip.id, None)
        self.settled[settled.clip.id] = (settled, now)
        self.pictured = self.pictured or _has_pictures(settled)
        self.touched = now

    def counts(self, now: datetime) -> dict[str, int]:
        """Things in view now, by label: of events that go on and were seen within IN_VIEW seconds."""
        totals: dict[str, int] = {}
        for record in self.events.values():
            if not record.ended and (now - record.state.end_time).total_seconds() <= IN_VIEW:
                totals[record.state.label] = totals.get(record.state.label, 0) + 1
        return totals

    # --- going on -------------------------------------------------------------------------------

    def advance(self, now: float, new_id: Callable[[], str]) -> list[Change]:
        """Join every clip whose turn it is, and say what follows from it."""
        changes: list[Change] = []
        while (settled := self._next(now)) is not None:
            del self.settled[settled.clip.id]
            late = bool(self.joined) and _order(settled) < _order(self.joined[-1])
            self.joined.append(settled)
            if late:
                self.joined.sort(key=_order)
                touched = self._rebuild()
            else:
                touched = join(self.objects, settled)
            for thing in touched:
                changes += self._tell(thing, settled.clip, new_id)
            changes += [ClipJoined(settled.clip.id), *clip_messages(settled, self._events_of(settled))]
            self._forget_pictures()
        return changes

    def _next(self, now: float) -> Settled | None:
        """The earliest settled clip that no earlier one can still precede."""
        earliest = self._earliest()
        if earliest is None:
            return None
        settled, since = earliest
        following = self.joined[-1].clip.sequence + 1 if self.joined else 0
        return settled if settled.clip.sequence <= following or now >= since + HOLD else None

    def _earliest(self) -> tuple[Settled, float] | None:
        """The first settled clip with the time of its end, unless a pending one comes before it."""
        if not self.settled:
            return None
        settled, since = min(self.settled.values(), key=lambda pair: _order(pair[0]))
        first = min((c.sequence for c in self.pending.values()), default=None)
        return None if first is not None and first < settled.clip.sequence else (settled, since)

    def is_complete(self) -> bool:
        """Whether every clip up to the last one has come and is joined."""
        if self.pending or self.settled or self.last_sequence is None:
            return False
        present = {s.clip.sequence for s in self.joined}
        return all(n in present for n in range(self.last_sequence + 1))

    def is_stale(self, now: float) -> bool:
        return not self.pending and not self.settled and now >= self.touched + self.patience

    def wake_at(self) -> float | None:
        """When `advance` or closing may become possible by time alone."""
        if self.settled:
            earliest = self._earliest()
            return earliest[1] + HOLD if earliest else None
        return None if self.pending else self.touched + self.patience

    def close(self) -> list[Change]:
        """End its events."""
        changes: list[Change] = []
        for event_id, record in self.events.items():
            if not record.ended:
                changes += self._end(event_id, record)
        return [*changes, RecordingClosed(self.id, self.pictured)]

    # --- events ---------------------------------------------------------------------------------

    def _tell(self, thing: Object, clip: Clip, new_id: Callable[[], str]) -> list[Change]:
        if not thing.is_event:
            return []
        known = self.events.get(thing.event_id) if thing.event_id else None
        thing.event_id = thing.event_id or new_id()
        before = known.state if known else None
        after = event_state(
            thing,
            event_id=thing.event_id,
            clip=clip,
            revision=(before.revision + 1) if before else 1,
            has_picture=thing.picture is not None or (before is not None and before.has_picture),
            zones=self._zones(thing, before, clip),
        )
        if before is not None and _same(before, after):
            return []
        record = EventRecord(after, tuple(thing.members), where=thing.last.box if thing.last else None)
        self.events[thing.event_id] = record
        kind = "update" if before else "new"
        return [
            EventSaved(record, thing.picture),
            *event_message(kind, before, after, picture=thing.picture is not None),
        ]

    def _zones(self, thing: Object, before: EventState | None, clip: Clip) -> tuple[str, ...]:
        """Where it has stood so far; `clip` is what has come since `before`."""
        already = before.zones if before is not None else ()
        zones = self.zones_of(self.device, self.camera)
        if not zones:
            return already
        members = set(thing.members)
        boxes = [
            sighting.box
            for settled in self.joined
            if before is None or settled.clip.id == clip.id
            for track in settled.tracks
            if (settled.clip.id, track.track) in members
            for sighting in track.sightings
            if sighting.score >= EVENT_SCORE
        ]
        return tuple(sorted({*already, *zones_of(boxes, zones)}))

    def _end(self, event_id: str, record: EventRecord) -> list[Change]:
        after = record.state.model_copy(update={"revision": record.state.revision + 1})
        ended = EventRecord(after, record.members, ended=True, where=record.where)
        self.events[event_id] = ended
        return [EventSaved(ended), *event_message("end", record.state, after, picture=False)]

    def _events_of(self, settled: Settled) -> list[str]:
        wanted = settled.clip.id
        return [o.event_id for o in self.objects if o.event_id and wanted in o.clips]

    def _rebuild(self) -> list[Object]:
        """Join everything anew in order; objects keep the events that their tracks belong to.

        Returns every object: those whose event did not change say nothing. An event whose tracks
        went to an older one stays as it is and ends with the recording.
        """
        self.objects = []
        for settled in self.joined:
            join(self.objects, settled)
        owners = sorted(self.events.items(), key=lambda item: (item[1].state.start_time, item[0]))
        for thing in self.objects:
            mine = set(thing.members)
            thing.event_id = next((e for e, record in owners if mine & set(record.members)), None)
            owners = [owner for owner in owners if owner[0] != thing.event_id]
        return list(self.objects)

    def _forget_pictures(self) -> None:
        """Pictures of events are on disk; others may be wanted when their object becomes an event."""
        told = {member for thing in self.objects if thing.event_id for member in thing.members}
        self.joined = [_without_pictures(settled, told) for settled in self.joined]
        for thing in self.objects:
            if thing.event_id is not None:
                thing.picture = None

    # --- from the database ----------------------------------------------------------------------

    @classmethod
    def restore(cls, snapshot: RecordingSnapshot, now: float, *, zones_of: ZonesOf = no_zones) -> Recording:
        """The recording as it was committed; its clips that wait are given with `arrive`."""
        recording = cls(snapshot.id, snapshot.device, snapshot.camera, touched=now, zones_of=zones_of)
        recording.joined = sorted(snapshot.joined, key=_order)
        recording.settled = {s.clip.id: (s, now) for s in snapshot.unjoined}
        recording.events = {record.state.id: record for record in snapshot.events}
        for settled in (*snapshot.joined, *snapshot.unjoined):
            recording.pictured = recording.pictured or _has_pictures(settled)
            if settled.clip.last:
                recording.last_sequence = max(settled.clip.sequence, recording.last_sequence or 0)
        recording._rebuild()
        recording._forget_pictures()
        return recording


def _order(settled: Settled) -> tuple[int, float, str]:
    return (settled.clip.sequence, settled.clip.captured_at.timestamp(), settled.clip.id)


def _has_pictures(settled: Settled) -> bool:
    return any(track.picture for track in settled.tracks)


def _without_pictures(settled: Settled, told: set[tuple[str, int]]) -> Settled:
    """The clip without the pictures of tracks that are part of an event."""
    if not any(track.picture and (settled.clip.id, track.track) in told for track in settled.tracks):
        return settled
    tracks = tuple(
        track.model_copy(update={"picture": None}) if (settled.clip.id, track.track) in told else track
        for track in settled.tracks
    )
    return replace(settled, tracks=tracks)


def _same(before: EventState, after: EventState) -> bool:
    return before.model_copy(update={"revision": after.revision}) == after
