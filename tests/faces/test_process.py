"""The task recognise_faces: one job from its bytes to its answer."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from faces_support import networks
from faces_support.pictures import painted
from meerkat_contract.errors import ModelError
from meerkat_contract.ids import new_id
from meerkat_contract.messages import Found, Job, ModelInfo, Result, read
from meerkat_inference.detector import Found as Seen
from meerkat_inference.faces.embedder import Embedder
from meerkat_inference.faces.engine_embedder import EngineEmbedder
from meerkat_inference.faces.process import MOST, PICTURE_BYTES, process_faces
from meerkat_inference.opening import open_engine
from meerkat_inference.picture import decode_jpeg, encode_jpeg

INCARNATION = new_id()
LEFT, RIGHT = (0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 0.5, 1.0)


class Detector:
    """Sees a face on the right, and a dog."""

    info = ModelInfo(name="fake")

    def __init__(self) -> None:
        self.asked = 0

    def detect(self, picture: np.ndarray) -> list[Seen]:
        self.asked += 1
        return [Seen("face", 0.9, RIGHT), Seen("dog", 0.8, LEFT)]

    def close(self) -> None: ...


@pytest.fixture
def embedder(tmp_path: Path) -> Embedder:
    path = networks.write_onnx(tmp_path / "e.onnx")
    return EngineEmbedder(networks.entry(path, rim=0), open_engine(path))


@pytest.fixture
def payload() -> bytes:
    return encode_jpeg(np.concatenate([painted(1, 240), painted(2, 240)], axis=1), quality=95)


def job(**fields: Any) -> Job:
    given: dict[str, Any] = {
        "job": new_id(),
        "token": 3,
        "task": "recognise_faces",
        "device": "porch",
        "camera": "front",
        "media": new_id(),
        "content_type": "image/jpeg",
        "captured_at": datetime.now(UTC),
        "lease": 10,
    }
    return Job(**{**given, **fields})


def run(
    asked: Job,
    payload: bytes,
    embedder: Embedder,
    detector: Detector | None = None,
    **options: Any,
) -> Result:
    clock = count()
    done = process_faces(
        asked, payload, embedder, detector, incarnation=INCARNATION, now=lambda: float(next(clock)), **options
    )
    return read(Result, done.to_json())  # as the hub will see it


def test_the_faces_that_the_level_before_found_are_described(embedder: Embedder, payload: bytes) -> None:
    detector = Detector()
    asked = job(found=(Found(label="face", score=0.7, box=LEFT),))
    done = run(asked, payload, embedder, detector)
    assert (done.state, done.reason, done.job, done.token) == ("done", "", asked.job, 3)
    assert done.incarnation == INCARNATION
    assert done.model == embedder.info
    assert (done.width, done.height, done.frames, done.seconds) == (480, 240, 1, 1)
    (face,) = done.faces
    assert face.box == LEFT
    assert face.score == 0.7
    expected = embedder.describe(decode_jpeg(payload), LEFT)
    np.testing.assert_array_equal(np.frombuffer(face.embedding, "<f4"), expected.embedding)
    assert face.quality == expected.quality
    assert detector.asked == 0


def test_without_boxes_the_worker_looks_for_faces_itself(embedder: Embedder, payload: bytes) -> None:
    done = run(job(), payload, embedder, Detector())
    assert [face.box for face in done.faces] == [RIGHT]


def test_boxes_of_something_else_are_no_faces(embedder: Embedder, payload: bytes) -> None:
    found = (Found(label="person", score=0.9, box=LEFT),)
    done = run(job(found=found), payload, embedder, Detector())
    assert [face.box for face in done.faces] == [RIGHT]


def test_the_small_picture_shows_the_face(embedder: Embedder, payload: bytes) -> None:
    (face,) = run(job(), payload, embedder, Detector()).faces
    assert face.picture is not None
    assert len(face.picture) <= PICTURE_BYTES
    small = decode_jpeg(face.picture)
    assert small.shape == (160, 160, 3)
    middle = cv2.resize(decode_jpeg(payload)[:, 240:], (107, 107), interpolation=cv2.INTER_AREA)
    assert np.abs(small[27:134, 27:134].astype(int) - middle).mean() < 20


def test_the_surest_faces_are_described_and_no_more_than_there_is_time_for(
    embedder: Embedder, payload: bytes
) -> None:
    found = tuple(Found(label="face", score=i / 100, box=LEFT) for i in range(40))
    done = run(job(found=found), payload, embedder)
    assert [face.score for face in done.faces] == [i / 100 for i in range(39, 39 - MOST, -1)]
    assert done.reason == f"40 faces are there: the {MOST} surest were described"


def test_a_box_without_pixels_hides_no_other_face(embedder: Embedder, payload: bytes) -> None:
    found = (
        Found(label="face", score=0.9, box=(0.5, 0.5, 0.0, 0.1)),
        Found(label="face", score=0.8, box=LEFT),
    )
    done = run(job(found=found), payload, embedder)
    assert [face.score for face in done.faces] == [0.8]


def test_nobody_there_is_an_answer(embedder: Embedder, payload: bytes) -> None:
    blind = Detector()
    blind.detect = lambda picture: []  # type: ignore[method-assign]
    done = run(job(), payload, embedder, blind)
    assert (done.state, done.faces) == ("done", ())


@pytest.mark.parametrize(
    ("fields", "broken", "says"),
    [
        ({"content_type": "video/mp4"}, b"", "Send image/jpeg"),
        ({}, b"no jpeg", "do not begin like a JPEG"),
    ],
)
def test_what_cannot_be_read_fails_for_good(
    embedder: Embedder, fields: dict[str, Any], broken: bytes, says: str
) -> None:
    done = run(job(**fields), broken, embedder, Detector())
    assert (done.state, done.retry) == ("failed", False)
    assert says in done.reason


def test_without_boxes_and_detector_another_worker_may_do_it(embedder: Embedder, payload: bytes) -> None:
    done = run(job(), payload, embedder)
    assert (done.state, done.retry) == ("failed", True)
    assert "meerkat models pull yunet" in done.reason


@pytest.mark.parametrize("error", [ModelError("the network fails"), ZeroDivisionError("oh")])
def test_an_embedder_that_breaks_fails_the_job_and_may_be_tried_elsewhere(
    embedder: Embedder, payload: bytes, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: Any) -> Any:
        raise error

    monkeypatch.setattr(embedder, "describe", fail)
    done = run(job(), payload, embedder, Detector())
    assert (done.state, done.retry) == ("failed", True)
    assert str(error) in done.reason


def test_a_job_that_is_called_off_ends_before_the_next_face(embedder: Embedder, payload: bytes) -> None:
    asked = iter([False, True])
    found = tuple(Found(label="face", score=0.7, box=box) for box in (LEFT, RIGHT, LEFT))
    done = run(job(found=found), payload, embedder, cancelled=lambda: next(asked))
    assert (done.state, done.retry, done.faces) == ("failed", True, ())
    assert "called off" in done.reason


@pytest.mark.parametrize("box", [(1.0, 1.0, 1.0, 1.0), (1.0, 0.0, 0.5, 0.5), (0.99, 0.99, 0.5, 0.5)])
def test_a_box_beyond_the_edge_harms_no_other_face(
    embedder: Embedder, payload: bytes, box: tuple[float, float, float, float]
) -> None:
    found = tuple(Found(label="face", score=0.7, box=each) for each in (box, LEFT))
    done = run(job(found=found), payload, embedder)
    assert (done.state, len(done.faces)) == ("done", 2)
