"""The stand-in worker keeps the worker protocol, and its schedule adds up no errors."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from meerkat_contract.ids import new_id
from meerkat_contract.messages import Cancel, Deploy, Job, Result, WorkerState, read
from meerkat_contract.metadata import Metadata
from meerkat_contract.session import Incoming, Session
from meerkat_contract.topics import WorkerTopic
from meerkat_experiments.real.dispatch_stand_in import Schedule, StandIn
from support.broker import Mosquitto
from support.wait import wait_for

NAME = "flo-1"


def test_jobs_follow_one_another_in_absolute_times() -> None:
    schedule = Schedule(0.1)
    assert schedule.next(5.0) == pytest.approx((5.0, 5.1))
    assert schedule.next(5.05) == pytest.approx((5.1, 5.2)), "it waits for the one before"
    assert schedule.next(5.2) == pytest.approx((5.2, 5.3)), "at the very instant it is free"
    assert schedule.next(6.0) == pytest.approx((6.0, 6.1)), "an idle worker begins on arrival"
    ends = [schedule.next(6.0)[1] for _ in range(1000)]
    assert ends[-1] == pytest.approx(6.1 + 100.0), "nothing adds up"


class House:
    """A hub's side of the bus, by hand."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.results: list[Result] = []
        self.states: list[WorkerState] = []
        self._lock = threading.Lock()
        session.subscribe(WorkerTopic(NAME, "results"), self._result)
        session.subscribe(WorkerTopic(NAME, "state"), self._state)
        session.start()
        session.wait_connected(10)
        session.wait_subscribed(10)

    def give(
        self, task: str = "detect_objects", *, job: str | None = None, token: int = 1, ahead: bool = False
    ) -> str:
        job = job or new_id()
        now = datetime.now(UTC)
        body = Job(
            job=job,
            token=token,
            task=task,
            device="d",
            camera="c",
            media=job,
            captured_at=now,
            lease=60,
            ahead=ahead,
        )
        self.session.publish(
            WorkerTopic(NAME, "jobs"),
            b"picture",
            qos=1,
            metadata=Metadata(id=job, captured_at=now),
            properties=[("job", body.to_json().decode())],
        )
        return job

    def answers(self, count: int) -> list[Result]:
        wait_for(lambda: len(self.results) >= count, what=f"{count} answers")
        return list(self.results)

    def _result(self, message: Incoming) -> None:
        self.results.append(read(Result, message.payload, topic=message.topic))

    def _state(self, message: Incoming) -> None:
        self.states.append(read(WorkerState, message.payload, topic=message.topic))


@pytest.fixture
def house(broker: Mosquitto) -> Iterator[House]:
    session = Session(broker.connection, client_id="house")
    yield House(session)
    session.stop()


@pytest.fixture
def stand_in(broker: Mosquitto, house: House) -> Iterator[StandIn]:
    worker = StandIn(NAME, broker.connection, 100.0, ["detect_objects", "detect_faces"], window=3)
    worker.start()
    wait_for(lambda: house.states, what="the worker's state")
    yield worker
    worker.stop()


def test_it_says_what_it_is(house: House, stand_in: StandIn) -> None:
    state = house.states[0]
    assert state.online
    assert [task.task for task in state.tasks] == ["detect_objects", "detect_faces"]
    assert state.tasks[0].frames_per_second == 100
    assert "stand-in" in state.hardware
    assert state.window == 3
    assert state.ahead


def test_a_job_marked_ahead_is_done_before_those_not_begun(broker: Mosquitto, house: House) -> None:
    worker = StandIn(NAME, broker.connection, 1.0, ["detect_objects"], window=3)
    worker.start()
    try:
        wait_for(lambda: house.states, what="the worker's state")
        running = house.give()
        wait_for(lambda: not worker._inbox.wait_idle(0), what="the first job's beginning")
        waiting, light = house.give(), house.give(ahead=True)
        answers = house.answers(3)
    finally:
        worker.stop()
    assert [answer.job for answer in answers] == [running, light, waiting]
    waited = [answer.waited or 0.0 for answer in answers]
    assert waited[2] > waited[1], "it waited for the one that went before it"


def test_jobs_are_answered_in_order_and_say_how_long_they_took(house: House, stand_in: StandIn) -> None:
    jobs = [house.give(), house.give("detect_faces"), house.give()]
    answers = house.answers(3)
    assert [answer.job for answer in answers] == jobs
    assert all(answer.state == "done" and answer.frames == 1 for answer in answers)
    assert [answer.seconds for answer in answers] == [0.01] * 3
    assert all(answer.waited is not None and answer.waited >= 0 for answer in answers)


def test_the_same_job_again_is_answered_once(house: House, stand_in: StandIn) -> None:
    job = house.give()
    house.answers(1)
    house.give(job=job)
    other = house.give()
    assert [answer.job for answer in house.answers(2)] == [job, other]


def test_a_task_that_it_does_not_offer_is_handed_back(house: House, stand_in: StandIn) -> None:
    house.give("read_meter")
    (answer,) = house.answers(1)
    assert (answer.state, answer.retry, answer.seconds) == ("failed", True, 0)
    assert "read_meter" in answer.reason


def test_what_is_told_to_serve_is_served(house: House, stand_in: StandIn) -> None:
    order = Deploy(task="detect_faces")
    house.session.publish(WorkerTopic(NAME, "deploy"), order.to_json(), qos=1).wait(10)
    wait_for(lambda: house.states[-1].serving == "detect_faces", what="the new state")
    house.give("detect_objects")
    house.give("detect_faces")
    assert {answer.state for answer in house.answers(2)} == {"failed", "done"}


def test_more_than_its_window_and_what_is_called_off_are_handed_back(broker: Mosquitto, house: House) -> None:
    worker = StandIn(NAME, broker.connection, 1.0, ["detect_objects"], window=2)
    worker.start()
    try:
        wait_for(lambda: house.states, what="the worker's state")
        _, second, third = house.give(), house.give(), house.give()
        (full,) = house.answers(1)
        assert (full.job, full.state, full.retry) == (third, "failed", True)
        assert "window full" in full.reason
        cancel = Cancel(job=second, token=1)
        house.session.publish(WorkerTopic(NAME, "cancel"), cancel.to_json(), qos=1).wait(10)
        # On a busy machine the one that runs may be answered before it.
        wait_for(lambda: second in {answer.job for answer in house.results}, what="what was called off")
    finally:
        worker.stop()
    wait_for(lambda: not house.states[-1].online, what="the goodbye")
    assert len(house.answers(3)) == 3, "the one that ran was answered before the end"
