"""Clips cut from real footage: whole, playable, without gap or overlap."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import pytest

from meerkat_devices.recording.mp4 import write_clip
from meerkat_devices.recording.recorder import PATIENCE, TICKS, Chunk, Clip, Limits, Recorder
from meerkat_devices.settings.address import parse_source
from meerkat_devices.sources.opening import open_source
from support.media import make_clip
from support.shared import shared


def record(
    video: Path, folder: Path, moving: Callable[[float], bool], limits: Limits, *, loop_seconds: float = 0
) -> list[tuple[Clip, Path]]:
    """Drive the recorder with a file; `moving` stands for the motion detector."""
    recorder = Recorder(limits)
    written: list[tuple[Clip, Path]] = []
    stop = threading.Event()
    with open_source(parse_source(str(video)), pace="fast", loop=bool(loop_seconds)) as source:

        def write(clips: list[Clip]) -> None:
            for clip in clips:
                path = folder / f"{len(written)}.mp4"
                assert write_clip(path, clip, source.template) == path.stat().st_size
                written.append((clip, path))

        for sample in source.samples(stop):
            for chunk in sample.chunks:
                write(recorder.add(chunk))
            for shot in sample.shots:
                write(recorder.motion(moving(shot.at / TICKS), shot.at))
                if loop_seconds and shot.at >= loop_seconds * TICKS:
                    stop.set()
        write(recorder.finish())
    return written


def packets(path: Path) -> list[tuple[float, bytes]]:
    """Presentation time and content of every packet, in order of presentation."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        found = [
            (float(packet.pts * stream.time_base), bytes(packet))
            for packet in container.demux(stream)
            if packet.pts is not None and stream.time_base
        ]
    return sorted(found)


def probe(path: Path) -> dict[str, Any]:
    """What ffprobe says, and that neither it nor a whole decode by ffmpeg complains."""
    found = subprocess.run(
        ["ffprobe", "-v", "warning", "-show_format", "-show_streams", "-of", "json", str(path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert not found.stderr
    decoded = subprocess.run(
        ["ffmpeg", "-v", "warning", "-i", str(path), "-f", "null", "-"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert not decoded.stderr
    return dict(json.loads(found.stdout))


def assert_seamless(video: Path, written: list[tuple[Clip, Path]]) -> None:
    """Following clips hold the source's packets one after the other, each once."""
    source = packets(video)
    start = source[0][0] + written[0][0].start / TICKS
    place = min(range(len(source)), key=lambda n: abs(source[n][0] - start))
    for clip, path in written:
        own = packets(path)
        assert [content for _, content in own] == [c for _, c in source[place : place + len(own)]]
        assert own[0][0] == 0
        for (at, _), (source_at, _) in zip(own, source[place : place + len(own)], strict=True):
            assert at + clip.start / TICKS + source[0][0] == pytest.approx(source_at, abs=2e-4)
        place += len(own)


FOOTAGE: dict[str, dict[str, Any]] = {
    "gop 1 s": {"gop": 1},
    "gop 4 s": {"gop": 4},
    "b-frames": {"gop": 4, "b_frames": 3},
    "b-frames, gop 1 s": {"gop": 1, "b_frames": 2},
    "variable rate": {"gop": 1, "times": lambda n: n / 15 + 0.02 * (n % 3)},
    "30 fps": {"gop": 2, "fps": 30},
    "hevc": {"gop": 2, "codec": "libx265"},
}


@pytest.mark.parametrize("name", FOOTAGE)
def test_clips_follow_without_gap_or_overlap(name: str, tmp_path: Path) -> None:
    settings = FOOTAGE[name]
    video = make_clip(tmp_path / "in.mp4", seconds=30, **settings)
    written = record(video, tmp_path, lambda at: 9 <= at < 20, Limits())
    assert_seamless(video, written)
    clips = [clip for clip, _ in written]
    gop = settings["gop"]
    assert clips[0].start / TICKS <= 9 - 3, "the pre-roll is contained"
    assert clips[0].start / TICKS > 9 - 3 - gop - 0.1, "from the last key frame before it"
    assert 20 + 3 - 0.1 <= clips[-1].end / TICKS <= 20 + 3 + gop + 0.1
    assert len({clip.recording for clip in clips}) == 1
    assert [clip.sequence for clip in clips] == list(range(len(clips)))
    assert [clip.last for clip in clips] == [False] * (len(clips) - 1) + [True]
    for clip in clips[:-1]:
        assert 5 <= clip.seconds <= 5 + gop + 0.1
    for clip, path in written:
        found = probe(path)
        assert float(found["format"]["duration"]) == pytest.approx(clip.seconds, abs=0.05)
        assert float(found["streams"][0]["start_time"]) == 0
        assert int(found["streams"][0]["nb_frames"]) == len(clip.chunks)
        head = path.read_bytes()
        assert head.index(b"moov") < head.index(b"mdat"), "a browser plays it while it loads"


def test_a_recording_that_follows_at_once_begins_where_the_last_ended(tmp_path: Path) -> None:
    video = make_clip(tmp_path / "in.mp4", seconds=30, gop=1, b_frames=2)
    written = record(video, tmp_path, lambda at: 5 <= at < 6 or 10.2 <= at < 11, Limits())
    assert len({clip.recording for clip, _ in written}) == 2
    assert_seamless(video, written)


def test_a_long_group_of_pictures_delays_the_end_within_bounds(tmp_path: Path) -> None:
    video = make_clip(tmp_path / "in.mp4", seconds=40, gop=20, b_frames=2)
    written = record(video, tmp_path, lambda at: 24 <= at < 25, Limits())
    assert_seamless(video, written)
    end = written[-1][0].end
    assert 27.8 * TICKS + PATIENCE <= end <= 28 * TICKS + PATIENCE + TICKS / 2


def test_a_recording_is_bounded_and_a_new_one_goes_on(tmp_path: Path) -> None:
    video = make_clip(tmp_path / "in.mp4", seconds=40, gop=1)
    written = record(video, tmp_path, lambda at: at >= 4, Limits(max_recording=15))
    assert_seamless(video, written)
    by_recording: dict[str, list[Clip]] = {}
    for clip, _ in written:
        by_recording.setdefault(clip.recording, []).append(clip)
    assert len(by_recording) == 3
    for clips in by_recording.values():
        assert [clip.sequence for clip in clips] == list(range(len(clips)))
        assert [clip.last for clip in clips] == [False] * (len(clips) - 1) + [True]
        assert (clips[-1].end - clips[0].start) / TICKS <= 15.1


def test_a_loop_goes_on_in_media_time(tmp_path: Path) -> None:
    video = make_clip(tmp_path / "in.mp4", seconds=7, gop=1, b_frames=2)
    written = record(video, tmp_path, lambda at: at > 3, Limits(), loop_seconds=18)
    for (before, _), (after, _) in pairwise(written):
        assert after.start == before.end
    times = sorted(chunk.pts for clip, _ in written for chunk in clip.chunks)
    assert {after - before for before, after in pairwise(times)} == {TICKS // 15}
    for _, path in written:
        probe(path)


@pytest.mark.parametrize("codec", ["mpeg4", "mjpeg"])
def test_other_codecs_are_encoded_again(codec: str, tmp_path: Path) -> None:
    video = make_clip(tmp_path / "in.avi", seconds=12, codec=codec)
    written = record(video, tmp_path, lambda at: 4 <= at < 6, Limits())
    frames = sum(len(clip.chunks) for clip, _ in written)
    assert frames == pytest.approx(15 * (written[-1][0].end - written[0][0].start) / TICKS, abs=1)
    for clip, path in written:
        found = probe(path)
        assert found["streams"][0]["codec_name"] == "h264"
        assert float(found["format"]["duration"]) == pytest.approx(clip.seconds, abs=0.08)


@pytest.mark.parametrize("name", ["one-by-one-person-detection.mp4", "car-detection.mp4"])
def test_real_footage(name: str, tmp_path: Path) -> None:
    video = shared(f"media/{name}")
    written = record(video, tmp_path, lambda at: 12 <= at < 21, Limits())
    assert_seamless(video, written)
    for _, path in written:
        probe(path)


def made(number: int, *, key: bool = False, fps: int = 10, size: int = 1000, reorder: int = 0) -> Chunk:
    step = TICKS // fps
    return Chunk((number + reorder) * step, number * step, step, key, size, number / fps, None)


def test_motion_before_the_first_key_frame_waits_for_it() -> None:
    recorder = Recorder(Limits())
    assert recorder.add(made(0)) == []
    assert recorder.motion(True, 0) == []
    assert not recorder.recording
    assert recorder.add(made(1, key=True)) == []
    assert recorder.recording
    (clip,) = recorder.finish()
    assert clip.last
    assert [c.dts for c in clip.chunks] == [TICKS // 10]


def test_the_end_is_exactly_post_roll_after_the_last_motion() -> None:
    recorder = Recorder(Limits(post_roll=2))
    recorder.add(made(0, key=True))
    recorder.motion(True, 0)
    for number in range(1, 20):
        assert recorder.add(made(number, key=True)) == []
    (clip,) = recorder.add(made(20, key=True))
    assert clip.last
    assert clip.end == 2 * TICKS
    assert not recorder.recording


def test_the_cut_is_at_the_first_key_frame_at_clip_seconds() -> None:
    recorder = Recorder(Limits(clip_seconds=2, post_roll=60))
    recorder.add(made(0, key=True))
    recorder.motion(True, 0)
    assert [recorder.add(made(n, key=True)) for n in range(1, 20)] == [[]] * 19
    (clip,) = recorder.add(made(20, key=True))
    assert clip.seconds == 2
    assert not clip.last


def test_pictures_that_lead_their_key_frame_are_left_out_of_its_clip() -> None:
    recorder = Recorder(Limits(clip_seconds=1, post_roll=60))
    recorder.add(made(0, key=True))
    recorder.motion(True, 0)
    for number in range(1, 10):
        recorder.add(made(number))
    recorder.add(made(10, key=True, reorder=2))
    recorder.add(made(11, reorder=-1))  # shown before the key frame at 12
    recorder.add(made(12, reorder=1))
    (clip,) = recorder.finish()
    assert [c.pts * 10 // TICKS for c in clip.chunks] == [12, 13]


def test_memory_is_bounded_when_no_key_frame_comes() -> None:
    recorder = Recorder(Limits(max_gop=10, max_bytes=200_000))
    recorder.add(made(0, key=True))
    for number in range(1, 500):
        recorder.add(made(number))
    assert recorder.broken_groups >= 1
    recorder.add(made(500, key=True))
    recorder.motion(True, 50 * TICKS)
    clips = [clip for number in range(501, 900) for clip in recorder.add(made(number))]
    assert clips
    assert all(sum(c.size for c in clip.chunks) <= 200_000 for clip in clips)


def test_finish_without_motion_writes_nothing() -> None:
    recorder = Recorder(Limits())
    recorder.add(made(0, key=True))
    recorder.motion(False, 0)
    assert recorder.finish() == []


def test_key_frames_that_never_come_are_counted() -> None:
    recorder = Recorder(Limits(max_gop=10))
    for number in range(401):
        assert recorder.add(made(number)) == []
    assert recorder.broken_groups == 3
    recorder.add(made(402, key=True))
    assert recorder.broken_groups == 3


def test_a_recording_wanted_and_begun_by_motion_is_not_begun_once_more() -> None:
    recorder = Recorder(Limits(post_roll=60, clip_seconds=60, max_bytes=20_000))
    clips: list[Clip] = []
    for number in range(60):  # at 20 there are too many bytes: closed between key frames, another one wanted
        clips += recorder.add(made(number, key=number in (0, 9, 24, 39, 54)))
        clips += recorder.motion(True, number * TICKS // 10)
    clips += recorder.finish()
    by_recording: dict[str, list[bool]] = {}
    for clip in clips:
        by_recording.setdefault(clip.recording, []).append(clip.last)
    assert len(by_recording) > 1
    assert {chunk.pts for clip in clips for chunk in clip.chunks} == {n * TICKS // 10 for n in range(60)}
    for said in by_recording.values():
        assert said == [False] * (len(said) - 1) + [True], "each is closed, and once"


def test_much_data_is_cut_at_key_frames_without_a_gap() -> None:
    recorder = Recorder(Limits(post_roll=60, clip_seconds=60, max_bytes=50_000))
    clips: list[Clip] = []
    for number in range(200):
        clips += recorder.add(made(number, key=number % 10 == 0))
        clips += recorder.motion(True, number * TICKS // 10)
    clips += recorder.finish()
    assert len({clip.recording for clip in clips}) == 1
    assert [chunk.pts for clip in clips for chunk in clip.chunks] == [n * TICKS // 10 for n in range(200)]
    assert all(sum(chunk.size for chunk in clip.chunks) <= 50_000 for clip in clips)
