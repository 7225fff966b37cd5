from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest

from meerkat_contract.ids import new_id
from meerkat_contract.messages import Cancel, Deploy, Job
from meerkat_inference.inbox import MEASURE, Assignment, Inbox


def job(**changes: object) -> Job:
    values: dict[str, object] = {
        "job": new_id(),
        "token": 1,
        "device": "porch-pi",
        "camera": "front",
        "media": new_id(),
        "captured_at": datetime(2026, 11, 20, tzinfo=UTC),
        "lease": 10,
    }
    return Job.model_validate(values | changes)


class Clock:
    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def inbox(clock: Clock) -> Inbox:
    return Inbox(2, now=clock)


def take(inbox: Inbox) -> Job:
    held = inbox.take()
    assert isinstance(held, Assignment)
    return held.job


def finish(inbox: Inbox) -> Job:
    final = inbox.settle()
    inbox.done()
    return final


def test_jobs_are_taken_in_order_and_the_window_counts_the_running_one(inbox: Inbox) -> None:
    first, second, third = job(), job(), job()
    assert inbox.put(first, b"1") == inbox.put(second, b"2") == ""
    assert "window full" in inbox.put(third, b"3")
    assert take(inbox) == first
    assert "window full" in inbox.put(third, b"3")
    finish(inbox)
    assert inbox.put(third, b"3") == ""
    assert take(inbox) == second


def test_the_same_job_twice_is_held_once_even_after_it_was_answered(inbox: Inbox) -> None:
    only = job()
    assert inbox.put(only, b"") == inbox.put(only, b"") == ""
    take(inbox)
    finish(inbox)
    assert inbox.put(only, b"") == ""
    inbox.put(other := job(), b"")
    assert take(inbox) == other


def test_a_newer_token_renews_the_job_whether_it_waits_or_runs(inbox: Inbox, clock: Clock) -> None:
    old = job()
    new = old.model_copy(update={"token": 2, "lease": 20.0})
    newest = old.model_copy(update={"token": 3})
    inbox.put(old, b"")
    inbox.put(new, b"")
    running = inbox.take()
    assert isinstance(running, Assignment)
    assert running.job == new
    clock.at += 15
    inbox.put(newest, b"")
    assert not running.late(clock.at + 9.9)
    assert finish(inbox) == newest


def test_a_job_that_is_being_answered_is_not_renewed_but_done_again(inbox: Inbox) -> None:
    old = job()
    inbox.put(old, b"")
    take(inbox)
    inbox.settle()
    new = old.model_copy(update={"token": 2})
    inbox.put(new, b"")
    inbox.done()
    assert take(inbox) == new


def test_a_newer_token_with_other_wishes_is_another_job(inbox: Inbox) -> None:
    old = job()
    inbox.put(old, b"")
    inbox.put(other := old.model_copy(update={"token": 2, "sample_fps": 1.0}), b"")
    assert [take(inbox), take(inbox)] == [old, other]


def test_a_job_marked_ahead_goes_before_all_that_is_not_begun(clock: Clock) -> None:
    inbox = Inbox(8, now=clock)
    running, first, second = job(), job(), job()
    light, later = job(ahead=True), job(ahead=True)
    for each in (running, first, second):
        inbox.put(each, b"")
    assert take(inbox) == running
    inbox.put(light, b"")
    inbox.put(later, b"")
    inbox.put(last := job(), b"")
    assert finish(inbox) == running, "what runs goes on"
    assert [take(inbox) for _ in range(5)] == [light, later, first, second, last]


def test_a_job_to_be_done_ahead_has_no_more_room_than_others(inbox: Inbox) -> None:
    inbox.put(job(), b"")
    inbox.put(job(), b"")
    assert "window full" in inbox.put(job(ahead=True), b"")


@pytest.mark.parametrize("was_ahead", [False, True])
def test_a_job_that_comes_again_has_the_place_of_its_newest_self(clock: Clock, *, was_ahead: bool) -> None:
    inbox = Inbox(8, now=clock)
    plain, old = job(), job(ahead=was_ahead)
    new = old.model_copy(update={"token": 2, "ahead": not was_ahead})
    for each in (plain, old, new):
        inbox.put(each, b"")
    assert [take(inbox), take(inbox)] == ([plain, new] if was_ahead else [new, plain])
    assert inbox.quiet, "and it is one job"


def test_an_older_token_never_replaces_a_newer_one(inbox: Inbox) -> None:
    new = job(token=5)
    inbox.put(new, b"")
    inbox.put(new.model_copy(update={"token": 4}), b"")
    assert take(inbox).token == 5


def test_what_waited_when_the_connection_broke_makes_room(inbox: Inbox) -> None:
    running, waiting, first, second, third = job(), job(), job(), job(), job()
    inbox.put(running, b"")
    inbox.put(waiting, b"")
    held = inbox.take()
    assert isinstance(held, Assignment)
    inbox.taken_back()
    assert inbox.put(first, b"") == ""
    assert not held.called_off
    assert inbox.put(second, b"") == ""
    assert held.called_off
    assert "window full" in inbox.put(third, b"")
    finish(inbox)
    assert [take(inbox), take(inbox)] == [first, second]


def test_what_was_renewed_after_a_broken_connection_stays(inbox: Inbox) -> None:
    old = job()
    inbox.put(old, b"")
    inbox.taken_back()
    inbox.put(old.model_copy(update={"token": 2}), b"")
    inbox.put(job(), b"")
    assert "window full" in inbox.put(job(), b"")


def test_cancel_removes_what_waits_and_flags_what_runs(inbox: Inbox) -> None:
    running, waiting = job(), job()
    inbox.put(running, b"")
    inbox.put(waiting, b"")
    held = inbox.take()
    assert isinstance(held, Assignment)
    cancelled = inbox.cancel(Cancel(job=waiting.job, token=1))
    assert cancelled is not None
    assert cancelled.job == waiting
    assert inbox.cancel(Cancel(job=running.job, token=1)) is None
    assert held.called_off
    assert inbox.cancel(Cancel(job=new_id(), token=1)) is None
    assert inbox.put(job(), b"") == ""


def test_a_cancel_with_another_token_is_void(inbox: Inbox) -> None:
    inbox.put(job_ := job(token=2), b"")
    assert inbox.cancel(Cancel(job=job_.job, token=1)) is None
    assert take(inbox) == job_


def test_a_lease_is_over_at_its_exact_end(inbox: Inbox, clock: Clock) -> None:
    inbox.put(job(lease=10), b"")
    held = inbox.take()
    assert isinstance(held, Assignment)
    assert not held.late(clock.at + 9.999)
    assert held.late(clock.at + 10)


def test_closing_returns_what_waited_and_lets_the_running_one_end(inbox: Inbox) -> None:
    running, waiting = job(), job()
    inbox.put(running, b"")
    inbox.put(waiting, b"")
    take(inbox)
    assert [held.job for held in inbox.close()] == [waiting]
    assert inbox.put(job(), b"") == "the worker is ending"
    assert not inbox.wait_idle(0)
    finish(inbox)
    assert inbox.wait_idle(0)
    assert inbox.take() is None


def test_closing_wakes_the_thread_that_waits_for_a_job(inbox: Inbox) -> None:
    taken: list[object] = []
    waiter = threading.Thread(target=lambda: taken.append(inbox.take()))
    waiter.start()
    inbox.close()
    waiter.join(10)
    assert taken == [None]


def test_the_bytes_held_are_bounded_but_one_job_always_fits(clock: Clock) -> None:
    inbox = Inbox(16, now=clock, most_bytes=1000)
    big, small, other = job(), job(), job()
    assert inbox.put(big, bytes(5000)) == ""
    assert "memory full" in inbox.put(small, b"1")
    take(inbox)
    finish(inbox)
    assert inbox.put(small, bytes(600)) == ""
    assert inbox.put(other, bytes(400)) == ""
    assert "memory full: the worker holds 0.0 of 0.0 MB" in inbox.put(job(), b"1")


def test_a_job_that_was_refused_for_its_size_may_come_again(clock: Clock) -> None:
    inbox = Inbox(16, now=clock, most_bytes=1000)
    first, second = job(), job()
    inbox.put(first, bytes(800))
    assert "memory full" in inbox.put(second, bytes(800))
    take(inbox)
    finish(inbox)
    assert inbox.put(second, bytes(800)) == ""
    assert take(inbox) == second


def test_an_answer_that_is_given_makes_room_before_the_job_is_put_away(inbox: Inbox) -> None:
    """The hub has the answer, and may send the next job, while this side still tidies up."""
    inbox.put(job(), b"")
    inbox.put(job(), b"")
    take(inbox)
    assert "window full" in inbox.put(job(), b"")
    inbox.settle()
    assert inbox.put(job(), b"") == ""
    assert "window full" in inbox.put(job(), b"")


def test_a_renewed_job_keeps_the_time_of_its_arrival(inbox: Inbox, clock: Clock) -> None:
    old = job()
    inbox.put(old, b"")
    clock.at += 5
    inbox.put(old.model_copy(update={"token": 2}), b"")
    held = inbox.take()
    assert isinstance(held, Assignment)
    assert (held.arrived, held.received) == (100.0, 105.0)


def test_an_order_goes_before_the_jobs_and_hands_back_those_of_another_task(inbox: Inbox) -> None:
    objects, faces = job(), job(task="detect_faces")
    inbox.put(objects, b"")
    inbox.put(faces, b"")
    order = Deploy(task="detect_faces")
    assert [held.job for held in inbox.deploy(order)] == [objects]
    assert "told to serve 'detect_faces'" in inbox.put(job(), b"")
    assert inbox.take() == order
    assert not inbox.wait_idle(0), "it is being loaded"
    assert inbox.deployed("detect_faces") == []
    assert inbox.wait_idle(0)
    assert take(inbox) == faces


def test_jobs_of_a_task_that_stays_loaded_come_whatever_is_served(clock: Clock) -> None:
    inbox = Inbox(4, now=clock, beside=["read_meter"])
    meter, clip = job(task="read_meter"), job()
    assert [inbox.put(meter, b""), inbox.put(clip, b"")] == ["", ""]
    assert [held.job for held in inbox.deploy(Deploy(task="detect_faces"))] == [clip]
    assert isinstance(inbox.take(), Deploy)
    assert inbox.deployed("detect_faces") == []
    assert inbox.put(job(task="read_meter"), b"") == ""
    assert "detect_faces" in inbox.put(job(), b"")
    assert take(inbox) == meter


def test_an_order_waits_for_the_running_job(inbox: Inbox) -> None:
    running = job()
    inbox.put(running, b"")
    take(inbox)
    assert inbox.deploy(Deploy(task="detect_faces")) == []
    assert finish(inbox) == running
    assert inbox.take() == Deploy(task="detect_faces")


def test_an_order_that_failed_lets_in_what_was_let_in_before(inbox: Inbox) -> None:
    inbox.deploy(Deploy(task="detect_faces"))
    inbox.put(waiting := job(task="detect_faces"), b"")
    inbox.take()
    assert [held.job for held in inbox.deployed("detect_objects")] == [waiting]
    assert inbox.put(job(), b"") == ""
    assert "told to serve" in inbox.put(job(task="detect_faces"), b"")


def test_of_two_orders_the_later_counts(inbox: Inbox) -> None:
    inbox.deploy(Deploy(task="detect_faces"))
    inbox.take()
    inbox.deploy(Deploy(task="detect_objects"))
    assert inbox.deployed("detect_faces") == []
    inbox.put(objects := job(), b"")
    assert "told to serve 'detect_objects'" in inbox.put(job(task="detect_faces"), b"")
    assert inbox.take() == Deploy(task="detect_objects")
    inbox.deployed("detect_objects")
    assert take(inbox) == objects


def test_a_release_lets_all_in(inbox: Inbox) -> None:
    inbox.deployed("detect_faces")
    assert inbox.put(job(), b"") != ""
    inbox.deploy(Deploy(task=""))
    assert inbox.put(job(), b"") == inbox.put(job(task="detect_faces"), b"") == ""


def test_measuring_comes_after_all_else_and_what_comes_meanwhile_ends_the_quiet(inbox: Inbox) -> None:
    inbox.put(job(), b"")
    inbox.deploy(Deploy(task=""))
    inbox.measure()
    assert isinstance(inbox.take(), Deploy)
    inbox.deployed(None)
    take(inbox)
    finish(inbox)
    assert inbox.quiet
    assert inbox.take() == MEASURE
    assert not inbox.wait_idle(0), "the end waits for it"
    inbox.deploy(Deploy(task="detect_faces"))
    assert not inbox.quiet
    assert inbox.deployed(None) == []
    assert "not loaded" in inbox.put(job(), b""), "the order that came meanwhile counts"
    assert isinstance(inbox.take(), Deploy)
