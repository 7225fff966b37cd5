"""The clip with what was found drawn in."""

from __future__ import annotations

import io
from pathlib import Path

import av
import numpy as np
import pytest

from cloud_support.pretend_cloud import order_of
from cloud_support.squares import Squares
from meerkat_cloud_burst.worker.annotate import HOLD, WIDTH, annotate, boxes_at
from meerkat_contract.errors import MediaError
from meerkat_contract.messages import Result, Sighting, Track
from meerkat_inference.process import process
from meerkat_inference.tracker import GAP
from support.media import make_clip


def looked_at(payload: bytes) -> Result:
    job = order_of(payload).job
    return process(job, payload, Squares(), incarnation=job.job, cancelled=lambda: False, now=lambda: 0.0)


def frames(path: Path) -> list[tuple[float, np.ndarray]]:  # type: ignore[type-arg]
    with av.open(str(path)) as container:
        return [
            (float(frame.time or 0), frame.to_ndarray(format="bgr24")) for frame in container.decode(video=0)
        ]


def never() -> bool:
    return False


def test_every_frame_is_there_at_its_time_and_the_square_is_framed(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", seconds=2, fps=15)
    payload = clip.read_bytes()
    result = looked_at(payload)
    assert annotate(payload, result, tmp_path / "out.mp4", cancelled=never)
    before, after = frames(clip), frames(tmp_path / "out.mp4")
    assert [at for at, _ in after] == pytest.approx([at for at, _ in before], abs=0.001)
    # Person's colour, orange, is nowhere in the grey clip and in every frame of the annotated one.
    for at, picture in after:
        blue, red = picture[:, :, 0].astype(int), picture[:, :, 2].astype(int)
        assert (red - blue > 80).sum() > 100, f"no box at {at} s"
    assert av.open(str(tmp_path / "out.mp4")).streams.video[0].codec_context.name == "h264"


def test_a_browser_can_begin_before_all_of_it_is_there(tmp_path: Path) -> None:
    payload = make_clip(tmp_path / "clip.mp4", seconds=1).read_bytes()
    annotate(payload, looked_at(payload), tmp_path / "out.mp4", cancelled=never)
    data = (tmp_path / "out.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


@pytest.mark.parametrize(
    ("size", "expected"),
    [((322, 178), (322, 178)), ((2560, 1440), (WIDTH, 720)), ((1922, 1082), (WIDTH, 720))],
)
def test_it_has_even_sides_and_is_no_wider_than_a_picture(
    tmp_path: Path, size: tuple[int, int], expected: tuple[int, int]
) -> None:
    payload = make_clip(tmp_path / "clip.mp4", seconds=0.2, fps=10, size=size).read_bytes()
    annotate(payload, looked_at(payload), tmp_path / "out.mp4", cancelled=never)
    stream = av.open(str(tmp_path / "out.mp4")).streams.video[0]
    assert (stream.width, stream.height) == expected


def test_odd_sides_are_evened(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with av.open(buffer, "w", "avi") as out:
        stream = out.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = 161, 91, "yuvj444p"
        for _ in range(3):
            picture = np.full((91, 161, 3), 90, np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        out.mux(stream.encode(None))
    payload = buffer.getvalue()
    annotate(payload, looked_at(payload), tmp_path / "out.mp4", cancelled=never)
    stream = av.open(str(tmp_path / "out.mp4")).streams.video[0]  # type: ignore[assignment]
    assert (stream.width % 2, stream.height % 2) == (0, 0)


def test_called_off_it_stops(tmp_path: Path) -> None:
    payload = make_clip(tmp_path / "clip.mp4", seconds=1).read_bytes()
    asked = iter([False, False, True])
    assert not annotate(payload, looked_at(payload), tmp_path / "out.mp4", cancelled=lambda: next(asked))


def test_a_disk_that_is_full_is_told(tmp_path: Path) -> None:
    payload = make_clip(tmp_path / "clip.mp4", seconds=1).read_bytes()
    with pytest.raises(MediaError, match="annotated video cannot be written"):
        annotate(payload, looked_at(payload), tmp_path / "no" / "folder.mp4", cancelled=never)


# --- where a box is between two looks ---------------------------------------------------------------


def track(*at: float) -> Track:
    sightings = tuple(Sighting(at=each, score=0.9, box=(each / 10, 0.1, 0.2, 0.3)) for each in at)
    return Track(track=0, label="car", score=0.9, hits=len(at), sightings=sightings, best=sightings[0])


def left(at: float, *times: float) -> float | None:
    boxes = boxes_at([track(*times)], at)
    return round(boxes[0].box[0], 6) if boxes else None


def test_a_box_moves_straight_from_one_sighting_to_the_next() -> None:
    assert left(1.0, 1, 2) == 0.1
    assert left(1.5, 1, 2) == 0.15
    assert left(2.0, 1, 2) == 0.2


def test_before_its_first_sighting_there_is_no_box() -> None:
    assert left(0.999, 1, 2) is None


def test_after_its_last_sighting_it_stays_for_a_moment() -> None:
    assert left(2 + HOLD - 0.001, 1, 2) == 0.2
    assert left(2 + HOLD, 1, 2) is None


def test_over_a_gap_that_the_tracker_bridges_it_is_drawn_and_no_longer() -> None:
    assert left(1.1, 1, 1 + GAP) is not None
    assert left(1.1, 1, 1.001 + GAP) is None
