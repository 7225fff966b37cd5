"""The task read_meter of a worker: from a job's bytes to its answer, with the real networks."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import numpy as np
import pytest

from meerkat_contract.errors import ModelError
from meerkat_contract.ids import new_id
from meerkat_contract.messages import Job, MeterOrder, Result
from meerkat_contract.meter_layout import MeterLayout
from meerkat_devices.scenes.meter import BasementMeter
from meerkat_inference.metering import TASK, Metering, meters
from meerkat_inference.picture import encode_jpeg
from meerkat_inference.tasks import Circumstances, blank

AT = datetime(2026, 11, 16, 9, tzinfo=UTC)


@pytest.fixture(scope="module")
def reader() -> Metering:
    return meters()("")  # type: ignore[return-value]


@pytest.fixture(scope="module")
def jpeg() -> bytes:
    return encode_jpeg(BasementMeter().render(AT))


def do(
    reader: Metering,
    payload: bytes,
    order: MeterOrder | None,
    *,
    kind: str = "image/jpeg",
    cancelled: bool = False,
) -> Result:
    job = Job(
        job=new_id(), token=7, task=TASK, device="basement", camera="water", media=new_id(),
        captured_at=AT, lease=30, content_type=kind, meter=order,
    )  # fmt: skip
    return reader.do(job, payload, Circumstances(new_id(), lambda: cancelled, time.monotonic))


def test_a_picture_is_read_with_the_layout_of_the_job(reader: Metering, jpeg: bytes) -> None:
    layout = BasementMeter().layout()
    result = do(reader, jpeg, MeterOrder(layout=layout))
    assert (result.state, result.reason, result.token, result.frames) == ("done", "", 7, 1)
    assert result.meter is not None
    (counter,) = result.meter.counters
    assert (len(counter.wheels), len(counter.needles)) == (len(layout.digits), len(layout.pointers))
    assert counter.verdict in ("accepted", "held")
    assert result.meter.layout is None, "nothing new is said of it"
    assert result.model is not None
    assert (result.model.name, len(result.model.sha256)) == ("meter", 64)


def test_without_a_layout_one_is_proposed_and_read(reader: Metering, jpeg: bytes) -> None:
    result = do(reader, jpeg, MeterOrder())
    assert result.meter is not None, result.reason
    assert result.meter.layout is not None
    assert result.meter.layout.digits
    assert result.meter.counters


def test_landmarks_are_made_when_they_are_wanted(reader: Metering, jpeg: bytes) -> None:
    layout = BasementMeter().layout()
    result = do(reader, jpeg, MeterOrder(layout=layout, landmarks=True))
    assert result.meter is not None
    made = result.meter.layout
    assert made is not None
    assert made.landmarks
    assert made.digits == layout.digits
    again = do(reader, jpeg, MeterOrder(layout=made)).meter
    assert again is not None
    assert again.alignment is not None
    assert again.alignment.score >= 0.5


def test_a_picture_with_nothing_in_it_gives_none_and_says_so(reader: Metering) -> None:
    grey = encode_jpeg(np.full((540, 960, 3), 90, np.uint8))
    layout = BasementMeter().layout()
    result = do(reader, grey, MeterOrder(layout=layout, landmarks=True))
    assert result.meter is not None
    assert result.meter.layout is not None
    assert result.meter.layout.landmarks is None
    assert "aligned" in result.meter.doubts[0]
    assert result.meter.counters[0].verdict == "unreadable"


@pytest.mark.parametrize(
    ("payload", "kind", "words"),
    [
        (b"no picture", "image/jpeg", "JPEG"),
        (b"\xff\xd8\xff", "image/jpeg", "JPEG"),
        (b"", "video/mp4", "video/mp4"),
    ],
)
def test_what_nobody_can_read_is_failed_for_good(
    reader: Metering, payload: bytes, kind: str, words: str
) -> None:
    result = do(reader, payload, MeterOrder(layout=BasementMeter().layout()), kind=kind)
    assert (result.state, result.retry) == ("failed", False)
    assert words in result.reason


def test_a_layout_of_another_picture_is_failed_for_good(reader: Metering, jpeg: bytes) -> None:
    far = MeterLayout(digits=((20_000.0, 0.0, 10.0, 10.0),))
    result = do(reader, jpeg, MeterOrder(layout=far))
    assert (result.state, result.retry) == ("failed", False)
    assert "outside the picture" in result.reason


def test_a_job_that_is_called_off_may_be_done_elsewhere(reader: Metering, jpeg: bytes) -> None:
    result = do(reader, jpeg, MeterOrder(), cancelled=True)
    assert (result.state, result.retry) == ("failed", True)


def test_it_can_be_measured_with_any_picture(reader: Metering) -> None:
    reader.look(blank())


def test_there_is_one_model_and_no_other() -> None:
    with pytest.raises(ModelError, match="yolox"):
        meters()("yolox")
