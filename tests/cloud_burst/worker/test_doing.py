"""One order from its clip to its answer, with a cloud in memory and a detector that finds a square."""

from __future__ import annotations

import logging
from datetime import timedelta
from pathlib import Path

import pytest

from cloud_support.pretend_cloud import PretendOrders, PretendResults, PretendStore, order_of
from cloud_support.squares import OneModel, Squares
from meerkat_cloud_burst.errors import Cause, CloudError
from meerkat_cloud_burst.messages import Announced, Order, annotated_key, result_key
from meerkat_cloud_burst.ports import Received
from meerkat_cloud_burst.worker.doing import FAILURES, Cloud, Doing
from meerkat_cloud_burst.worker.heartbeat import Hand
from meerkat_cloud_burst.worker.patience import Pauses
from meerkat_contract.errors import ModelError
from meerkat_inference.process import process
from support.media import make_clip
from support.wait import wait_for


class House:
    """A worker's surroundings, and the clip of a square that crosses the picture."""

    def __init__(self, folder: Path) -> None:
        self.clip = make_clip(folder / "clip.mp4", seconds=2).read_bytes()
        self.store, self.orders, self.results = PretendStore(), PretendOrders(), PretendResults()
        self.squares = Squares()
        self.models = OneModel(self.squares)
        self.doing = Doing(
            Cloud(self.store, self.orders, self.results),
            self.models,  # type: ignore[arg-type]
            "i-0123",
            pauses=Pauses(0.001, 0.002),
        )

    def order(self, payload: bytes | None = None, **more: object) -> Order:
        """An order whose clip is in the store."""
        found = self.clip if payload is None else payload
        order = order_of(found, **more)  # type: ignore[arg-type]
        self.store.objects[order.key] = found
        return order

    def hand(self, order: Order, receives: int = 1) -> Hand:
        return Hand(self.orders, Received(order, "receipt", receives))

    def do(self, order: Order, receives: int = 1) -> Hand:
        with self.hand(order, receives) as hand:
            self.doing.do(hand)
        return hand


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_a_clip_is_answered_announced_and_its_message_deleted(house: House) -> None:
    order = house.order()
    house.doing.boot = 42.0
    house.do(order)
    finished = house.store.results[result_key(order.job.job)]
    assert (finished.result.state, finished.worker, finished.boot) == ("done", "i-0123", 42.0)
    assert [track.label for track in finished.result.tracks] == ["person"]
    assert house.results.said == [
        Announced(job=order.job.job, token=0, key=result_key(order.job.job), worker="i-0123")
    ]
    assert house.orders.deleted == ["receipt"]
    again = house.order()
    house.do(again)
    assert house.store.results[result_key(again.job.job)].boot is None  # told once


def test_the_result_is_that_of_a_worker_at_home(house: House) -> None:
    """The same code looks: all that differs is who looked when, and how long it took."""
    order = house.order()
    house.do(order)
    there = house.store.results[result_key(order.job.job)].result
    at_home = process(
        order.job,
        house.clip,
        Squares(),
        incarnation=there.incarnation,
        cancelled=lambda: False,
        now=lambda: 0,
    )
    assert there.model_copy(update={"seconds": 0}) == at_home.model_copy(update={"seconds": 0})


def test_a_clip_that_no_one_can_decode_is_a_failed_result_with_its_reason(house: House) -> None:
    order = house.order(b"this is no video")
    house.do(order)
    result = house.store.results[result_key(order.job.job)].result
    assert (result.state, result.retry) == ("failed", False)
    assert "not a video" in result.reason
    assert house.results.announced
    assert house.orders.deleted == ["receipt"]


def test_a_result_that_is_there_already_is_announced_all_the_same(house: House) -> None:
    order = house.order()
    house.do(order)
    first = house.store.results[result_key(order.job.job)]
    house.do(order, receives=2)
    assert house.store.results[result_key(order.job.job)] is first
    assert len(house.results.announced) == 2
    assert house.orders.deleted == ["receipt", "receipt"]


def test_an_order_whose_clip_is_gone_was_taken_back(house: House, caplog: pytest.LogCaptureFixture) -> None:
    order = house.order()
    house.store.objects.clear()
    with caplog.at_level(logging.INFO):
        house.do(order)
    assert house.orders.deleted == ["receipt"]
    assert not house.store.results
    assert not house.results.said
    assert "taken back" in caplog.text
    assert caplog.records[-1].job == order.job.job  # type: ignore[attr-defined]


@pytest.mark.parametrize(("late", "answers"), [(-1, 1), (0, 1), (1, 0)])
def test_an_order_that_nobody_waits_for_is_dropped(house: House, late: int, answers: int) -> None:
    order = house.order()
    order = order.model_copy(update={"until": order.sent_at + timedelta(seconds=900)})
    house.doing.utc = lambda: order.sent_at + timedelta(seconds=900 + late)
    house.do(order)
    assert len(house.results.announced) == answers
    assert house.orders.deleted == ["receipt"]


def test_a_clip_that_takes_longer_than_anybody_waits_is_called_off(house: House) -> None:
    order = house.order()
    order = order.model_copy(update={"until": order.sent_at + timedelta(seconds=900)})
    times = [order.sent_at, order.sent_at + timedelta(seconds=900)]  # at its beginning, at the first look
    house.doing.utc = lambda: times.pop(0) if times else order.sent_at + timedelta(seconds=901)
    looks: list[int] = []
    house.squares.during = lambda: looks.append(1)
    house.do(order)
    assert len(looks) == 1
    assert house.orders.deleted == ["receipt"]
    assert not house.results.announced


def test_a_clip_that_differs_from_its_hash_is_fetched_again_and_then_refused(house: House) -> None:
    order = house.order()
    house.store.objects[order.key] = house.clip[:-1]
    house.do(order)
    result = house.store.results[result_key(order.job.job)].result
    assert (result.state, result.retry) == ("failed", True)
    assert f"{len(house.clip) - 1:,} bytes" in result.reason


def test_a_model_that_is_missing_fails_the_order_for_others_to_do(house: House) -> None:
    house.models.missing.add("yolov4")
    order = house.order(model="yolov4")
    house.do(order)
    result = house.store.results[result_key(order.job.job)].result
    assert (result.state, result.retry) == ("failed", True)
    assert "neither on this machine nor in the bucket" in result.reason


def test_another_task_is_refused(house: House) -> None:
    order = house.order(task="read_meter")
    house.do(order)
    assert "not read_meter" in house.store.results[result_key(order.job.job)].result.reason


@pytest.mark.parametrize("step", ["fetch_clip", "put_result"])
def test_a_cloud_that_is_away_for_a_moment_is_asked_again(house: House, step: str) -> None:
    order = house.order()
    house.store.faults[step] = [
        CloudError("no answer", cause="network"),
        CloudError("slow", cause="throttled"),
    ]
    house.do(order)
    assert house.store.results
    assert house.orders.deleted == ["receipt"]


@pytest.mark.parametrize("cause", ["permission", "credentials", "region", "clock"])
def test_a_refusal_that_lasts_ends_the_worker_and_leaves_the_message(house: House, cause: Cause) -> None:
    house.store.faults["put_result"] = [CloudError("no", cause=cause)]
    with pytest.raises(CloudError):
        house.do(house.order())
    assert not house.orders.deleted
    assert not house.results.announced


def test_a_step_is_not_tried_for_ever(house: House) -> None:
    """Up to the deadline a refusal is tried again; the first one after it is raised."""
    clock = iter([0.0, 0.0, 300.0, 300.1])
    house.doing.now = lambda: next(clock)
    faults = [CloudError(str(number), cause="network") for number in range(5)]
    house.store.faults["fetch_clip"] = faults
    with pytest.raises(CloudError) as caught:
        house.do(house.order())
    assert caught.value.what == "1"


def test_a_detector_that_fails_at_everything_ends_the_worker(house: House) -> None:
    house.squares.broken = "the accelerator is gone"
    for _ in range(FAILURES - 1):
        house.do(house.order())
    with pytest.raises(ModelError, match="the accelerator is gone"):
        house.do(house.order())
    results = [finished.result for finished in house.store.results.values()]
    assert [(result.state, result.retry) for result in results] == [("failed", True)] * FAILURES


def test_poison_does_not_make_the_worker_doubt_itself(house: House) -> None:
    for _ in range(FAILURES + 1):
        house.do(house.order(b"poison"))
    assert len(house.store.results) == FAILURES + 1


def test_a_message_given_back_in_mid_clip_is_not_answered(house: House) -> None:
    order = house.order()
    hand = house.hand(order)
    house.orders.taken["receipt"] = order
    house.squares.during = hand.give_back
    with hand:
        house.doing.do(hand)
    assert order in house.orders.waiting
    assert not house.store.results
    assert not house.results.said
    assert not house.orders.deleted


def test_what_is_being_answered_is_not_given_back(house: House) -> None:
    hand = house.hand(house.order())
    assert hand.answer()
    assert not hand.give_back()
    assert not hand.given_back
    assert (hand.received.receipt, 0) not in house.orders.prolonged


def test_the_heartbeat_goes_on_while_the_clip_is_in_hand(house: House) -> None:
    hand = Hand(house.orders, Received(house.order(), "r", 1), visibility=60, beat=0.01)
    with hand:
        wait_for(lambda: len(house.orders.prolonged) >= 3)
        house.orders.faults["prolong"] = [CloudError("no answer", cause="network")]
        before = len(house.orders.prolonged)
        wait_for(lambda: len(house.orders.prolonged) > before)  # one that fails does not end it
    assert set(house.orders.prolonged) == {("r", 60)}


# --- the annotated video --------------------------------------------------------------------------


def test_the_annotated_video_is_uploaded_and_named(house: House, tmp_path: Path) -> None:
    order = house.order(annotated=True)
    house.do(order)
    key = annotated_key(order.job.job)
    assert house.store.results[result_key(order.job.job)].annotated == key
    assert house.store.objects[key][4:8] == b"ftyp"


def test_without_the_video_the_result_still_counts(house: House, caplog: pytest.LogCaptureFixture) -> None:
    house.store.faults["put_annotated"] = [CloudError("not allowed", cause="permission")]
    order = house.order(annotated=True)
    house.do(order)
    assert house.store.results[result_key(order.job.job)].annotated == ""
    assert "The annotated video is missing" in caplog.text
