"""What is published of an event: its best frame, with the box of a workflow's drawn in."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from hub_support.decided import NOW, decided
from meerkat_contract.ids import new_id
from meerkat_contract.message import Box
from meerkat_contract.messages import EventState
from meerkat_hub.adapters import event_pictures
from meerkat_hub.adapters.database import open_database
from meerkat_hub.adapters.event_pictures import EventPictures
from meerkat_hub.adapters.media import MediaFolder
from meerkat_hub.adapters.store import Store
from meerkat_hub.core.outputs import EventSaved
from meerkat_hub.core.records import EventRecord

WIDE, HIGH = 320, 240
BOX = (0.25, 0.5, 0.5, 0.25)
GREY = cv2.imencode(".jpg", np.full((HIGH, WIDE, 3), 90, np.uint8))[1].tobytes()


person = partial(decided, label="person")


class House:
    def __init__(self, folder: Path) -> None:
        self.engine = open_database(folder / "hub.db")
        self.store, self.media = Store(self.engine), MediaFolder(folder)
        self.pictures = EventPictures(self.store, self.media)

    def published(self, made: EventState, jpeg: bytes = GREY, *, gone: bool = False) -> bytes | None:
        name = f"{made.id}-2"
        if not gone:
            file = self.media.path("events", name, ".jpg")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(jpeg)
        change = EventSaved(EventRecord(made, (), ended=True))
        self.store.commit([change], announced=(), now=NOW, pictures={made.id: name})
        return self.pictures.read(made.id)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.engine.dispose()


def drawn(jpeg: bytes | None) -> list[tuple[int, int]]:
    """The upper left and the lower right corner of what is drawn into the grey picture, (x, y)."""
    assert jpeg is not None
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (HIGH, WIDE, 3)
    y, x = np.nonzero(np.abs(picture.astype(int) - 90).max(axis=2) > 40)
    return [(int(x.min()), int(y.min())), (int(x.max()), int(y.max()))] if len(x) else []


@pytest.mark.parametrize(
    ("box", "region"),
    [(BOX, None), ((0.625, 0.75, 0.25, 0.125), (0.5, 0.5, 0.5, 0.5))],
    ids=["whole", "part"],
)
def test_the_box_of_a_workflows_event_is_in_the_picture(house: House, box: Box, region: Box | None) -> None:
    (left, _), (right, bottom) = drawn(house.published(person(box, region=region)))
    assert (left, right, bottom) == pytest.approx((80, 240, 180), abs=4)


def test_a_close_up_and_the_picture_of_a_recording_stay_as_they_are(house: House) -> None:
    assert house.published(person(BOX, region=BOX)) == GREY
    assert house.published(person(BOX, workflow=None)) == GREY


def test_without_opencv_or_a_picture_that_can_be_read_the_frame_goes_as_it_came(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    made = person(BOX)
    assert house.published(made, b"\xff\xd8 a picture \xff\xd9") == b"\xff\xd8 a picture \xff\xd9"
    assert f"event {made.id}: its picture is published without its box" in caplog.text
    monkeypatch.setattr(event_pictures, "find_spec", lambda name: None)
    assert house.published(person(BOX)) == GREY


def test_a_picture_that_has_gone_is_none(house: House, caplog: pytest.LogCaptureFixture) -> None:
    assert house.pictures.read(new_id()) is None
    assert not caplog.records
    assert house.published(person(BOX), gone=True) is None
    assert "cannot be read (No such file or directory)" in caplog.text


def test_an_opencv_that_cannot_be_loaded_costs_the_box_alone(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A library of the system's that it needs is not there: the hub would stumble over it at every start."""
    (tmp_path / "cv2.py").write_text("raise ImportError('libGL.so.1: cannot open shared object file')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "cv2")
    assert house.published(person(BOX)) == GREY
    assert "published without its box: libGL.so.1" in caplog.text
