from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from meerkat_contract.errors import ModelError
from meerkat_contract.ids import new_id
from meerkat_contract.messages import Job, ModelInfo, Result
from meerkat_inference import process as module
from meerkat_inference.detector import Found
from meerkat_inference.process import ALL_PICTURES_BYTES, PICTURE_BYTES, process
from support.media import background, make_clip, square_at


class Squares:
    """Finds the bright square of the test clips."""

    def __init__(self, score: float = 0.9, label: str = "person") -> None:
        self.info = ModelInfo(name="squares", engine="hog")
        self.calls = 0
        self.score = score
        self.label = label

    def detect(self, picture: NDArray[np.uint8]) -> list[Found]:
        self.calls += 1
        ys, xs = np.nonzero(picture[:, :, 1] > 200)
        if len(xs) < 50:
            return []
        height, width = picture.shape[:2]
        box = (
            xs.min() / width,
            ys.min() / height,
            (np.ptp(xs) + 1) / width,
            (np.ptp(ys) + 1) / height,
        )
        return [Found(self.label, self.score, tuple(map(float, box)))]

    def close(self) -> None:
        """Nothing is held."""


def job(**changes: object) -> Job:
    values: dict[str, object] = {
        "job": new_id(),
        "token": 3,
        "device": "porch-pi",
        "camera": "front",
        "media": new_id(),
        "captured_at": datetime(2026, 11, 20, 8, tzinfo=UTC),
        "lease": 60,
    }
    return Job.model_validate(values | changes)


INCARNATION = new_id()


def run(
    payload: bytes,
    detector: Squares | None = None,
    *,
    cancelled: Callable[[], bool] = lambda: False,
    **changes: object,
) -> Result:
    return process(
        job(**changes),
        payload,
        detector or Squares(),
        incarnation=INCARNATION,
        cancelled=cancelled,
        now=iter(range(1000)).__next__,
    )


@pytest.fixture
def clip(tmp_path: Path) -> bytes:
    return make_clip(tmp_path / "clip.mp4", seconds=4, size=(640, 360)).read_bytes()


def test_a_clip_is_answered_with_the_track_its_sightings_and_a_picture(clip: bytes) -> None:
    result = run(clip)
    assert (result.state, result.reason, result.retry) == ("done", "", False)
    assert (result.token, result.incarnation) == (3, INCARNATION)
    assert (result.width, result.height, result.frames) == (640, 360, 20)
    assert result.duration == pytest.approx(4, abs=0.1)
    assert result.seconds == 1
    assert result.model is not None
    assert result.model.name == "squares"
    (track,) = result.tracks
    assert (track.label, track.hits, track.score) == ("person", 20, 0.9)
    assert [sighting.at for sighting in track.sightings] == pytest.approx(
        [n / 5 for n in range(20)], abs=0.07
    )
    assert 0.01 < track.best.box[0] < 0.7  # whole, not at the edge
    assert track.picture is not None
    assert len(track.picture) <= PICTURE_BYTES
    picture = cv2.imdecode(np.frombuffer(track.picture, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (360, 640, 3)
    assert Result.model_validate_json(result.to_json()) == result


def test_the_picture_is_the_best_frame_with_its_box(clip: bytes) -> None:
    (track,) = run(clip).tracks
    assert track.picture is not None
    drawn = cv2.imdecode(np.frombuffer(track.picture, np.uint8), cv2.IMREAD_COLOR)
    bare = square_at(background((640, 360)), track.best.at / 4)
    x, y, width, height = track.best.box
    rows = slice(round((y + 0.3 * height) * 360), round((y + 0.7 * height) * 360))
    columns = slice(round((x + 0.3 * width) * 640), round((x + 0.7 * width) * 640))
    inside = rows, columns
    assert np.abs(drawn[inside].astype(int) - bare[inside]).mean() < 10
    assert np.abs(drawn.astype(int) - bare).max() > 60  # the frame of the box


def test_a_large_frame_is_shown_at_most_1280_wide(tmp_path: Path) -> None:
    payload = make_clip(tmp_path / "clip.mp4", seconds=0.4, size=(1920, 1080), fps=5).read_bytes()
    (track,) = run(payload).tracks
    assert track.picture is not None
    picture = cv2.imdecode(np.frombuffer(track.picture, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (720, 1280, 3)


def test_a_jpeg_is_one_frame() -> None:
    data = cv2.imencode(".jpg", square_at(background((640, 360)), 0.5))[1].tobytes()
    result = run(data, content_type="image/jpeg")
    assert (result.state, result.frames, result.duration) == ("done", 1, 0)
    assert (result.width, result.height) == (640, 360)
    assert result.tracks[0].hits == 1


def test_only_labels_of_interest_make_tracks(clip: bytes) -> None:
    assert run(clip, Squares(label="chair")).tracks == ()
    assert run(clip, Squares(label="chair"), labels=("chair",)).tracks[0].label == "chair"
    assert run(clip, Squares(label="person"), labels=("chair",)).tracks == ()


def test_the_sampling_rate_is_the_jobs(clip: bytes) -> None:
    assert run(clip, sample_fps=2).frames == 8


def bomb() -> bytes:
    """A real JPEG whose header claims 60,000 x 60,000."""
    data = bytearray(cv2.imencode(".jpg", background((64, 64)))[1].tobytes())
    start = data.index(b"\xff\xc0")
    data[start + 5 : start + 9] = struct.pack(">HH", 60_000, 60_000)
    return bytes(data)


@pytest.mark.parametrize(
    ("payload", "content_type", "words"),
    [
        (b"", "video/mp4", "empty"),
        (b"not a clip" * 50, "video/mp4", "not a video"),
        (b"", "image/jpeg", "JPEG"),
        (b"not a picture", "image/jpeg", "JPEG"),
        (bomb(), "image/jpeg", "60000"),
        (b"words", "text/plain", "text/plain"),
    ],
    ids=["empty", "no-video", "empty-jpeg", "no-jpeg", "bomb", "other-type"],
)
def test_bad_media_is_failed_for_good_with_what_and_remedy(
    payload: bytes, content_type: str, words: str
) -> None:
    result = run(payload, content_type=content_type)
    assert (result.state, result.retry, result.tracks) == ("failed", False, ())
    assert words in result.reason
    assert ". " in result.reason  # what, then the remedy


def test_a_truncated_clip_is_failed_and_a_damaged_one_done_with_its_damage(clip: bytes) -> None:
    assert run(clip[:2000]).state == "failed"
    holed = bytearray(clip)
    holed[len(clip) // 3 : len(clip) // 2] = bytes(len(clip) // 2 - len(clip) // 3)
    result = run(bytes(holed))
    assert result.state == "done"
    assert "damaged" in result.reason
    assert result.frames > 5


def test_a_job_called_off_stops_at_the_next_frame_and_may_be_done_elsewhere(clip: bytes) -> None:
    detector = Squares()
    result = run(clip, detector, cancelled=lambda: detector.calls >= 3)
    assert (result.state, result.retry) == ("failed", True)
    assert "called off" in result.reason
    assert detector.calls == 3


class Broken(Squares):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def detect(self, picture: NDArray[np.uint8]) -> list[Found]:
        raise self.error


@pytest.mark.parametrize("error", [ModelError("the stick is gone"), RuntimeError("boom")])
def test_a_detector_that_breaks_is_failed_with_retry_and_never_reads_as_nothing(
    clip: bytes, error: Exception
) -> None:
    result = run(clip, Broken(error))
    assert (result.state, result.retry) == ("failed", True)
    assert "the stick is gone" in result.reason or "boom" in result.reason


def test_pictures_together_stay_within_the_budget(clip: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    class Crowd(Squares):
        def detect(self, picture: NDArray[np.uint8]) -> list[Found]:
            self.calls += 1
            return [Found("person", 0.5 + n / 50, (n / 20, 0.1, 0.04, 0.2)) for n in range(20)]

    monkeypatch.setattr(module, "encode_jpeg", lambda picture, max_bytes: bytes(max_bytes))
    result = run(clip, Crowd())
    assert len(result.tracks) == 20
    with_picture = [track for track in result.tracks if track.picture]
    assert len(with_picture) == ALL_PICTURES_BYTES // PICTURE_BYTES
    assert min(track.score for track in with_picture) > 0.75


def test_a_picture_has_tracks_of_one_sighting_and_a_workflows_frame_none_drawn() -> None:
    picture = cv2.imencode(".jpg", square_at(background((320, 240)), 0.5))[1].tobytes()
    plain = run(picture, content_type="image/jpeg")
    (track,) = plain.tracks
    assert (plain.frames, plain.duration, track.hits, len(track.sightings)) == (1, 0, 1, 1)
    assert track.best == track.sightings[0]
    assert track.picture
    frame = run(picture, content_type="image/jpeg", workflow="visitors")
    (seen,) = frame.tracks
    assert seen.picture is None
    assert seen == track.model_copy(update={"picture": None})


def test_faces_are_tracks_with_that_label() -> None:
    picture = cv2.imencode(".jpg", square_at(background((320, 240)), 0.5))[1].tobytes()
    result = run(picture, Squares(label="face"), content_type="image/jpeg", task="detect_faces")
    assert [(track.label, track.hits) for track in result.tracks] == [("face", 1)]


@pytest.mark.parametrize(("score", "told"), [(0.49, 0), (0.5, 1)])
def test_of_a_frame_nothing_is_told_below_the_floor_that_rules_are_held_to(score: float, told: int) -> None:
    """Whatever a rule's `min_score` is: it is not in the job."""
    picture = cv2.imencode(".jpg", square_at(background((320, 240)), 0.5))[1].tobytes()
    found = Squares(score, "dog")
    result = run(picture, found, content_type="image/jpeg", workflow="dogs", labels=("dog",))
    assert (result.state, len(result.tracks)) == ("done", told)
    assert found.calls == 1
