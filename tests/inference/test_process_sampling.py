from __future__ import annotations

import io
from pathlib import Path

import av
import numpy as np
import pytest

from meerkat_contract.errors import MediaError
from meerkat_inference.sampling import Clip, Grid, Limits
from support.media import make_clip


def times(payload: bytes, *, sample_fps: float = 5.0) -> list[float]:
    with Clip(payload, sample_fps=sample_fps) as clip:
        return [round(sample.at, 3) for sample in clip]


def all_frames(payload: bytes) -> dict[float, np.ndarray]:
    """Every frame by its time, from a decoder that leaves nothing out."""
    with av.open(io.BytesIO(payload)) as container:
        frames = [
            (frame.time or 0.0, frame.to_ndarray(format="bgr24")) for frame in container.decode(video=0)
        ]
    return {round(at - frames[0][0], 3): picture for at, picture in frames}


@pytest.mark.parametrize(
    ("suffix", "settings"),
    [
        (".mp4", {}),
        (".mp4", {"b_frames": 3}),
        (".mp4", {"b_frames": 2, "gop": 0.4, "fps": 12.5}),
        (".mkv", {"b_frames": 2, "gop": 10}),
        (".mp4", {"times": lambda n: n / 15 + 0.02 * (n % 3)}),
        (".mp4", {"codec": "mpeg4", "fps": 25}),
        (".mkv", {"codec": "mjpeg"}),
        (".ts", {"b_frames": 2}),
    ],
    ids=["plain", "b-frames", "short-groups", "one-group", "varying", "mpeg4", "mjpeg", "transport-stream"],
)
def test_samples_are_the_first_frames_at_or_after_the_grid_and_equal_a_full_decode(
    tmp_path: Path, suffix: str, settings: dict
) -> None:
    payload = make_clip(tmp_path / f"clip{suffix}", seconds=3, **settings).read_bytes()
    frames = all_frames(payload)
    expected = [min(at for at in frames if at >= n / 5 - 1e-3) for n in range(15) if n / 5 <= max(frames)]
    with Clip(payload) as clip:
        samples = list(clip)
    assert [round(sample.at, 3) for sample in samples] == sorted(set(expected))
    assert clip.damage == ""
    assert clip.duration == pytest.approx(3, abs=0.15)
    for sample in samples:
        assert sample.picture.shape == (180, 320, 3)
        difference = np.abs(sample.picture.astype(int) - frames[round(sample.at, 3)])
        assert difference.max() <= 2


def test_what_no_sample_needs_is_not_decoded(tmp_path: Path) -> None:
    payload = make_clip(tmp_path / "clip.mp4", seconds=4, fps=25, b_frames=3).read_bytes()
    with Clip(payload) as clip:
        assert len(list(clip)) == 20
    assert clip.decoded < 60
    with Clip(payload, sample_fps=1) as clip:
        assert len(list(clip)) == 4
    assert clip.decoded == 4  # the key frames alone


def test_raw_video_without_time_stamps_goes_by_its_frame_rate(tmp_path: Path) -> None:
    payload = make_clip(tmp_path / "clip.h264", seconds=2, fps=25).read_bytes()
    assert times(payload) == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6, 1.8]


def test_a_clip_with_a_hole_gives_what_can_be_had_and_says_so(tmp_path: Path) -> None:
    payload = bytearray(make_clip(tmp_path / "clip.mp4", seconds=5, size=(640, 360), fps=25).read_bytes())
    middle, hole = len(payload) // 3, len(payload) // 5
    payload[middle : middle + hole] = bytes(hole)
    with Clip(bytes(payload)) as clip:
        samples = list(clip)
    assert clip.damage
    assert len(samples) >= 15
    assert samples[-1].at > 4.5


def test_a_clip_cut_off_gives_what_came_before(tmp_path: Path) -> None:
    payload = make_clip(tmp_path / "clip.ts", seconds=5).read_bytes()
    with Clip(payload[: len(payload) // 2]) as clip:
        samples = list(clip)
    assert 8 <= len(samples) <= 15


def sound(path: Path) -> bytes:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), format="fltp", layout="mono")
        frame.rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path.read_bytes()


def test_what_is_no_clip_is_refused_with_what_and_remedy(tmp_path: Path) -> None:
    whole = make_clip(tmp_path / "clip.mp4", seconds=1).read_bytes()
    bad = {
        b"": "empty",
        b"hello" * 100: "not a video",
        whole[:400]: "not a video",
        whole[: whole.index(b"moov")]: "not a video",
        sound(tmp_path / "sound.mp4"): "no video",
        b"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nfile:///etc/passwd\n": "not a video",
        b"ffconcat version 1.0\nfile /etc/passwd\n": "not a video",
    }
    for payload, what in bad.items():
        with pytest.raises(MediaError, match=what) as caught:
            list(Clip(payload))
        assert caught.value.remedy


def test_limits_are_checked_before_a_frame_is_decoded(tmp_path: Path) -> None:
    payload = make_clip(tmp_path / "clip.mp4", seconds=2).read_bytes()
    for limits, what in (
        (Limits(duration=1.9), "2 s long"),
        (Limits(pixels=320 * 180 - 1), "320 x 180"),
        (Limits(frames=29), "more than 29 frames"),
    ):
        with pytest.raises(MediaError, match=what):
            Clip(payload, limits=limits)
    exact = Limits(duration=2.001, pixels=320 * 180, frames=30)
    with Clip(payload, limits=exact) as clip:
        assert len(list(clip)) == 10


def test_the_grid_takes_one_frame_for_each_step_and_skips_none_that_is_late() -> None:
    grid = Grid(5)
    assert [at for at in (0.0, 0.1, 0.199_95, 0.3, 0.41, 0.5, 1.33, 1.4) if grid.due(at)] == [
        0.0,
        0.199_95,
        0.41,
        1.33,
        1.4,
    ]


def test_a_clip_of_a_camera_mounted_sideways_is_turned_upright(tmp_path: Path) -> None:
    payload = make_clip(tmp_path / "clip.mp4", seconds=0.5).read_bytes()
    matrix = payload.index(b"tkhd") + 44
    one, none, w = b"\0\1\0\0", bytes(4), b"\x40\0\0\0"
    assert payload[matrix : matrix + 36] == one + 3 * none + one + 3 * none + w
    quarter = none + one + none + b"\xff\xff\0\0" + 4 * none + w  # a quarter clockwise, ISO 14496-12
    turned = payload[:matrix] + quarter + payload[matrix + 36 :]
    with Clip(payload) as plain, Clip(turned) as clip:
        before, after = next(iter(plain)).picture, next(iter(clip)).picture
    assert np.array_equal(after, np.rot90(before, -1))
