"""The messages in which the hub says what it decided, built from the core's records."""

from __future__ import annotations

from collections.abc import Iterable

from meerkat_contract.messages import (
    Detection,
    Detections,
    Event,
    EventState,
    Outcome,
    Track,
)
from meerkat_contract.topics import CameraTopic, EventPictureTopic
from meerkat_contract.vocabulary import category

from .objects import Object
from .outputs import Announce
from .records import Clip, Settled


def event_state(
    thing: Object,
    *,
    event_id: str,
    clip: Clip,
    revision: int,
    has_picture: bool,
    zones: tuple[str, ...] = (),
) -> EventState:
    """The event that an object is, as it stands."""
    assert thing.best is not None
    assert thing.last is not None
    assert thing.first is not None
    return EventState(
        id=event_id,
        device=clip.device,
        camera=clip.camera,
        label=thing.label,
        category=category(thing.label),
        score=thing.best.score,
        box=thing.best.box,
        start_time=thing.first,
        end_time=thing.last.at,
        picture_time=thing.best.at,
        revision=revision,
        clips=thing.clips,
        recording=clip.recording,
        has_picture=has_picture,
        model=thing.model,
        zones=zones,
    )


def event_message(
    kind: str, before: EventState | None, after: EventState, *, picture: bool
) -> list[Announce]:
    """The event, and ahead of it its picture when that is new, so that a push shows that very frame."""
    messages = []
    if picture:
        topic = EventPictureTopic(after.device, after.camera)
        messages.append(Announce(str(topic), retain=True, content_type="image/jpeg", event_picture=after.id))
    body = Event.model_validate({"type": kind, "before": before, "after": after})
    messages.append(Announce(str(CameraTopic(after.device, after.camera, "event")), body.to_json()))
    return messages


def clip_messages(settled: Settled, events: Iterable[str]) -> list[Announce]:
    """What was seen in a clip, and how it ended."""
    clip = settled.clip
    messages = []
    if settled.state == "done":
        seen = Detections(
            id=clip.id,
            device=clip.device,
            camera=clip.camera,
            captured_at=clip.captured_at,
            model=settled.model,
            detections=tuple(d for track in settled.tracks for d in _all(track)),
        )
        messages.append(Announce(str(CameraTopic(clip.device, clip.camera, "detections")), seen.to_json()))
    return [*messages, _outcome(settled, events)]


def _outcome(settled: Settled, events: Iterable[str]) -> Announce:
    clip = settled.clip
    body = Outcome.model_validate(
        {
            "id": clip.id,
            "device": clip.device,
            "camera": clip.camera,
            "captured_at": clip.captured_at,
            "state": settled.state,
            "reason": settled.reason,
            "model": settled.model,
            "frames": settled.frames,
            "detections": tuple(
                Detection(label=t.label, score=t.best.score, box=t.best.box, track=t.track, at=t.best.at)
                for t in settled.tracks
            ),
            "events": tuple(events),
        }
    )
    return Announce(str(CameraTopic(clip.device, clip.camera, "outcome")), body.to_json())


def count_message(device: str, camera: str, label: str, count: int) -> Announce:
    """How many of a label are in view now."""
    return Announce(
        str(CameraTopic(device, camera, label)), str(count).encode(), retain=True, content_type="text/plain"
    )


def _all(track: Track) -> Iterable[Detection]:
    return (
        Detection(label=track.label, score=s.score, box=s.box, track=track.track, at=s.at)
        for s in track.sightings
    )
