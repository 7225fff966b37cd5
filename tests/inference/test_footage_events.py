"""Real footage, real models: every person who crosses is one event, nobody is two.

Once as one clip, and once cut at key frames into clips of 5 s, as a device sends them, whose tracks
the hub's core joins. Both see the same frames, so that each model looks at every frame once.
"""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from footage.labels import FootageLabels, labels
from meerkat_contract.ids import new_id
from meerkat_contract.messages import Job, Result
from meerkat_hub.core.objects import Object, join
from meerkat_hub.core.records import Clip, Settled
from meerkat_inference.detector import Detector, Found
from meerkat_inference.loading import load_detector
from meerkat_inference.process import process
from meerkat_inference.tracker import START
from support.shared import shared

BEGIN = datetime(2026, 11, 20, 8, tzinfo=UTC)
HITS = 2
"""Sampled frames of at least 0.5 that make an event."""
EMPTY_SECONDS = 5.0
"""Nothing may be announced in an empty stretch longer than this."""
MODELS = ["yolox-nano", "ssd-mobilenet-v1"]


class Remembered:
    """A detector that looks at each picture once."""

    def __init__(self, detector: Detector) -> None:
        self.info = detector.info
        self.looked = 0
        self._detector = detector
        self._known: dict[bytes, list[Found]] = {}

    def detect(self, picture: NDArray[np.uint8]) -> list[Found]:
        key = hashlib.blake2b(picture.tobytes()).digest()
        if key not in self._known:
            self.looked += 1
            self._known[key] = self._detector.detect(picture)
        return self._known[key]

    def close(self) -> None:
        self._detector.close()


@pytest.fixture(scope="module")
def video() -> bytes:
    return shared("media/one-by-one-person-detection.mp4").read_bytes()


@pytest.fixture(scope="module")
def truth() -> FootageLabels:
    return labels(shared("media/one-by-one-person-detection.mp4"))


@pytest.fixture(scope="module", params=MODELS)
def detector(request: pytest.FixtureRequest) -> Iterator[Remembered]:
    found = Remembered(load_detector(request.param, folders=[shared("models")]))
    yield found
    found.close()


def look(detector: Remembered, payload: bytes, at: float = 0.0) -> Result:
    job = Job(
        job=new_id(),
        token=1,
        device="porch-pi",
        camera="front",
        media=new_id(),
        captured_at=BEGIN + timedelta(seconds=at),
        lease=600,
    )
    result = process(
        job, payload, detector, incarnation=new_id(), cancelled=lambda: False, now=time.monotonic
    )
    assert result.state == "done", result.reason
    return result


def cut(video: bytes, seconds: float) -> Iterator[tuple[float, bytes]]:
    """Start (s of media) and bytes of successive clips, remuxed at the first key frame after each cut."""
    with av.open(io.BytesIO(video)) as source:
        stream = source.streams.video[0]
        packets = [packet for packet in source.demux(stream) if packet.pts is not None]
        starts = [0]
        for index, packet in enumerate(packets):
            begin = packets[starts[-1]]
            if packet.is_keyframe and (packet.pts - begin.pts) * packet.time_base >= seconds - 0.01:
                starts.append(index)
        for first, after in zip(starts, [*starts[1:], len(packets)], strict=True):
            offset = packets[first].pts
            begin_at = float(offset * packets[first].time_base)
            buffer = io.BytesIO()
            with av.open(buffer, "w", format="mp4") as target:
                copy = target.add_stream_from_template(stream)
                for packet in packets[first:after]:
                    packet.pts -= offset
                    packet.dts -= offset
                    packet.stream = copy
                    target.mux(packet)
            yield begin_at, buffer.getvalue()


def check(spans: list[tuple[str, float, float]], truth: FootageLabels) -> None:
    """Each event (label, first, last second) is one person's crossing, and each crossing one event."""
    assert [label for label, _, _ in spans] == ["person"] * len(truth.crossings)
    for (_, first, last), crossing in zip(
        sorted(spans, key=lambda span: span[1]), truth.crossings, strict=True
    ):
        assert crossing.overlaps(first, last)
        assert first >= crossing.start - 1
        assert last <= crossing.end + 1
        assert last - first >= 0.8 * (crossing.end - crossing.start)
    for empty in truth.empty:
        if empty.end - empty.start > EMPTY_SECONDS:
            assert not any(empty.overlaps(first, last) for _, first, last in spans)


def test_each_person_is_one_track_of_the_whole_file(
    detector: Remembered, video: bytes, truth: FootageLabels
) -> None:
    result = look(detector, video)
    assert result.frames == 697
    events = [track for track in result.tracks if track.hits >= HITS]
    check([(t.label, t.sightings[0].at, t.sightings[-1].at) for t in events], truth)
    for track in events:
        assert track.best.score >= START
        assert track.picture is not None
        # The best frame shows the whole of somebody, not a head that comes into view.
        assert track.best.box[3] > 0.5


def test_each_person_is_one_event_of_clips_of_5_seconds(
    detector: Remembered, video: bytes, truth: FootageLabels
) -> None:
    objects: list[Object] = []
    recording = new_id()
    clips = list(cut(video, 5.0))
    assert len(clips) == 28
    for sequence, (at, payload) in enumerate(clips):
        result = look(detector, payload, at)
        captured = BEGIN + timedelta(seconds=at)
        clip = Clip(new_id(), "porch-pi", "front", captured, captured, recording, sequence)
        join(objects, Settled(clip, result.state, result.tracks, result.model, "", result.frames))
    events = [thing for thing in objects if thing.is_event]
    spans = []
    for thing in events:
        assert thing.first is not None
        assert thing.last is not None
        first, last = ((moment - BEGIN).total_seconds() for moment in (thing.first, thing.last.at))
        spans.append((thing.label, first, last))
    check(spans, truth)
    assert detector.looked == 697  # the same frames as in the whole file
