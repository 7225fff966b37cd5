"""Which packets become which clip. Pure: packets and motion in, clips out; no clock, no disk.

    idle ── motion ──▶ recording ── a key frame at or after clip_seconds ──▶ recording, next clip
      ▲                    │
      └── last clip ◀──────┘ post_roll after the last motion

A source's packets are cut, never re-encoded, so a clip begins with a key frame. What lies between
two key frames is a group of pictures. The ring holds the groups that a pre-roll may need.

Following clips of one recording share a border: the key frame that ends one begins the next, so
there is neither gap nor overlap. A recording prefers to end at such a border too, so that one that
follows at once begins exactly there; where none comes within PATIENCE it ends between two frames.
Pictures of an open group of pictures that precede their key frame in time but follow it in the
stream need the group before; they are left out where a clip begins with that key frame.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from meerkat_contract.ids import new_id
from meerkat_contract.metadata import Trigger

TICKS = 90_000
"""Media time travels in ticks of 1/90000 s, the clock of MPEG: whole numbers add up without drift."""

PATIENCE = 10 * TICKS
"""How long past its end a recording waits for a key frame to end at. Most cameras send one within
1 to 4 s; an end between two of them makes a recording that follows at once repeat a part."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """One encoded picture, in the order of decoding. Times are ticks of media time."""

    pts: int
    dts: int
    duration: int
    key: bool
    size: int
    captured: float
    """Unix time of capture, seconds."""
    packet: Any = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Clip:
    """Packets to be written as one file."""

    id: str
    recording: str
    sequence: int
    last: bool
    trigger: Trigger
    chunks: Sequence[Chunk] = field(repr=False)

    @property
    def start(self) -> int:
        """Ticks: when its first frame is shown."""
        return self.chunks[0].pts

    @property
    def end(self) -> int:
        """Ticks: when its last frame has been shown."""
        return max(chunk.pts + chunk.duration for chunk in self.chunks)

    @property
    def seconds(self) -> float:
        return (self.end - self.start) / TICKS

    @property
    def captured(self) -> float:
        """Unix time of its first frame."""
        return self.chunks[0].captured


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds, and bytes for what is held in memory."""

    pre_roll: float = 3.0
    post_roll: float = 3.0
    clip_seconds: float = 5.0
    max_recording: float = 600.0
    max_gop: float = 60.0
    max_bytes: int = 64_000_000


@dataclass(slots=True)
class _Group:
    chunks: list[Chunk]
    size: int

    @property
    def start(self) -> int:
        return self.chunks[0].pts


@dataclass(slots=True)
class _Recording:
    id: str
    trigger: Trigger
    started: int
    deadline: int
    sequence: int = 0
    chunks: list[Chunk] = field(default_factory=list)
    size: int = 0
    top: int = 0


class Recorder:
    """Feed it every packet and every reading of motion; write the clips it returns."""

    def __init__(self, limits: Limits, *, make_id: Callable[[], str] = new_id) -> None:
        self._limits = limits
        self._make_id = make_id
        self._ring: deque[_Group] = deque()
        self._ring_size = 0
        self._recording: _Recording | None = None
        self._wanted: tuple[int, Trigger] | None = None
        self._previous_end: int | None = None
        self._keyless_since: int | None = None
        self.broken_groups = 0
        """How often no key frame came within the limits: a group of pictures given up, or none begun."""

    @property
    def recording(self) -> bool:
        return self._recording is not None

    @property
    def why(self) -> Trigger | None:
        """What began the recording that is open."""
        return None if self._recording is None else self._recording.trigger

    def retune(self, limits: Limits) -> None:
        """Other limits from now on, for the open recording too; a longer pre-roll has to gather first."""
        self._limits = limits

    def add(self, chunk: Chunk) -> list[Clip]:
        """Take the next packet in order of decoding; returns the clips that it completes."""
        if chunk.key:
            self._keyless_since = None
            self._ring.append(_Group([chunk], chunk.size))
        elif self._ring:
            group = self._ring[-1]
            group.chunks.append(chunk)
            group.size += chunk.size
        elif self._recording is None:
            self._wait_for_key(chunk)
            return []  # before a key frame nothing can be shown
        if self._ring:
            self._ring_size += chunk.size
        clips = list(self._append(chunk))
        self._trim(chunk)
        if self._wanted and chunk.key:
            deadline, trigger = self._wanted
            self._wanted = None
            if chunk.pts < deadline:
                clips += self._begin(chunk.pts, deadline, trigger)
        return clips

    def motion(self, active: bool, at: int, *, trigger: Trigger = "motion") -> list[Clip]:
        """Say whether something moves at media time `at` (ticks)."""
        if not active:
            return []
        deadline = at + round(self._limits.post_roll * TICKS)
        if self._recording:
            self._recording.deadline = max(self._recording.deadline, deadline)
            if trigger == "doorbell":  # whatever began it, the clips from now on are urgent
                self._recording.trigger = trigger
            return []
        return self._begin(at, deadline, trigger)

    def finish(self) -> list[Clip]:
        """The source ends or changes: close what is open and forget the rest."""
        clips = []
        if self._recording and self._recording.chunks:
            clips.append(self._cut(last=True))
        self._recording = None
        self._wanted = None
        self._previous_end = None
        self._ring.clear()
        self._ring_size = 0
        return clips

    def _begin(self, at: int, deadline: int, trigger: Trigger) -> list[Clip]:
        """Start a recording with the pre-roll, or remember that one is wanted."""
        groups = self._pre_roll(at - round(self._limits.pre_roll * TICKS))
        if not groups:
            rung = self._wanted is not None and self._wanted[1] == "doorbell"
            self._wanted = (deadline, "doorbell" if rung else trigger)
            return []
        self._wanted = None
        self._recording = _Recording(self._make_id(), trigger, groups[0].start, deadline)
        return [clip for group in groups for chunk in group.chunks for clip in self._append(chunk)]

    def _pre_roll(self, wanted: int) -> list[_Group]:
        """The ring from the last key frame at or before `wanted`, without what is already recorded."""
        groups = list(self._ring)
        first = max((n for n, group in enumerate(groups) if group.start <= wanted), default=0)
        if self._previous_end is not None:
            fresh = [n for n, group in enumerate(groups) if group.start >= self._previous_end]
            first = max(first, fresh[0] if fresh else len(groups) - 1)
        return groups[max(first, 0) :]

    def _append(self, chunk: Chunk) -> Iterator[Clip]:
        recording = self._recording
        if recording is None:
            return
        if recording.chunks:
            start = recording.chunks[0].pts
            over = chunk.pts - recording.deadline
            if chunk.key and over >= 0:
                yield self._close(chunk.pts)
                return
            if chunk.pts > recording.top and over >= PATIENCE:
                # Every frame shown before this one has arrived: a clean end without a key frame.
                yield self._close(chunk.pts)
                return
            if chunk.key and chunk.pts - recording.started >= self._limits.max_recording * TICKS:
                deadline, trigger = recording.deadline, recording.trigger
                yield self._close(chunk.pts)
                recording = _Recording(self._make_id(), trigger, chunk.pts, deadline)
                self._recording = recording
            elif chunk.key and (
                chunk.pts - start >= self._limits.clip_seconds * TICKS
                or recording.size > self._limits.max_bytes // 2  # before a group of pictures has to be split
            ):
                yield self._cut(last=False)
            elif recording.size + chunk.size > self._limits.max_bytes:
                self._wanted = (recording.deadline, recording.trigger)
                yield self._close(chunk.pts)
                return
        if recording.chunks and chunk.pts < recording.chunks[0].pts:
            return  # leads its key frame and cannot be decoded without the group before
        recording.chunks.append(chunk)
        recording.size += chunk.size
        recording.top = max(recording.top, chunk.pts)

    def _wait_for_key(self, chunk: Chunk) -> None:
        """Some cameras never send a key frame: they refresh the picture strip by strip."""
        if self._keyless_since is None or chunk.pts < self._keyless_since:
            self._keyless_since = chunk.pts
        elif chunk.pts - self._keyless_since > self._limits.max_gop * TICKS:
            self._keyless_since = chunk.pts
            self.broken_groups += 1

    def _close(self, end: int) -> Clip:
        clip = self._cut(last=True)
        self._recording = None
        self._previous_end = end
        return clip

    def _cut(self, *, last: bool) -> Clip:
        recording = self._recording
        assert recording is not None
        clip = Clip(
            id=self._make_id(),
            recording=recording.id,
            sequence=recording.sequence,
            last=last,
            trigger=recording.trigger,
            chunks=tuple(recording.chunks),
        )
        recording.sequence += 1
        recording.chunks = []
        recording.size = 0
        return clip

    def _trim(self, newest: Chunk) -> None:
        """Keep what a pre-roll from now may need; one second of slack for decoders that lag behind."""
        horizon = newest.pts - round((self._limits.pre_roll + 1) * TICKS)
        while len(self._ring) > 1 and (
            self._ring[1].start <= horizon or self._ring_size > self._limits.max_bytes
        ):
            self._ring_size -= self._ring.popleft().size
        if len(self._ring) != 1:
            return
        group = self._ring[0]
        too_long = newest.pts - group.start > self._limits.max_gop * TICKS
        if too_long or group.size > self._limits.max_bytes:
            self.broken_groups += 1
            self._ring.clear()
            self._ring_size = 0
