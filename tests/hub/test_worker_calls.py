"""Calls to workers: what the broker's answer means, and when the hub's word crosses the worker's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from hub_support.orchestra import a_worker, an_id
from meerkat_contract.errors import BrokerError
from meerkat_contract.messages import ROLL_CALL, Job, WorkerState, read
from meerkat_contract.session import Delivery, Incoming, Session
from meerkat_hub.adapters.worker_calls import BY, CALL, PATIENCE, WorkerCalls
from meerkat_hub.core.inputs import WorkerAbsent
from meerkat_hub.core.records import Now

JOBS, STATE = "meerkat/worker/jetson/jobs", "meerkat/worker/jetson/state"
JETSON = a_worker("jetson", detect_objects=20).model_copy(update={"load": 0.5})


@dataclass
class Line:
    """In place of a session: what was published, to be answered by the test."""

    calls: list[Delivery] = field(default_factory=list)
    said: list[Incoming] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)
    connected: bool = True

    def publish(
        self, topic: object, payload: bytes, *, properties: Sequence[tuple[str, str]], **_: Any
    ) -> Delivery:
        delivery = Delivery()
        if str(topic) == JOBS:
            assert payload == b""
            self.calls.append(delivery)
            self.jobs.append(read(Job, dict(properties)["job"].encode()))
        else:
            assert str(topic) == STATE
            self.said.append(Incoming(STATE, payload, list(properties)))
        return delivery


class Calls:
    def __init__(self) -> None:
        self.line = Line()
        self.absent: list[WorkerAbsent] = []
        self.mono = 0.0
        self.answers = False
        """Whether the worker's state says that it answers calls."""
        self.calls = WorkerCalls(cast(Session, self.line), self.absent.append, lambda: self.now)

    @property
    def now(self) -> Now:
        return Now(datetime(2026, 11, 20, tzinfo=UTC), self.mono)

    def look(self, later: float) -> None:
        self.mono += later
        self.calls.look(self.now)

    def hear(self, *, online: bool = True, kept: bool = False, start: int = 1) -> bool:
        said = {"online": online, "incarnation": an_id(start), "roll_call": self.answers}
        state = JETSON.model_copy(update=said)
        return self.calls.heard(state, Incoming(STATE, state.to_json(), retain=kept))

    def hear_itself(self, number: int = -1, *, kept: bool = False) -> bool:
        """What the hub said (last) comes back to it."""
        said = self.line.said[number]
        again = Incoming(STATE, said.payload, said.properties, retain=kept)
        return self.calls.heard(read(WorkerState, said.payload), again)

    def answer(self, *, nobody: bool, number: int = -1) -> None:
        """The broker's, to the last call."""
        self.line.calls[number].nobody = nobody
        self.line.calls[number].finish()

    def told(self) -> list[bool]:
        """What the hub has said in the worker's place: online or not."""
        return [read(WorkerState, said.payload).online for said in self.line.said]


@pytest.fixture
def calls() -> Calls:
    return Calls()


def test_who_speaks_is_not_called(calls: Calls) -> None:
    assert calls.hear()
    assert calls.hear(online=False)
    assert not calls.line.calls


def test_a_state_that_the_broker_kept_is_called_once_and_believed_when_somebody_listens(calls: Calls) -> None:
    assert calls.hear(kept=True)
    (job,) = calls.line.jobs
    assert (job.job, job.task) == (CALL, ROLL_CALL)
    calls.answer(nobody=False)
    assert (calls.told(), calls.absent, len(calls.line.calls)) == ([], [], 1)


def test_to_whom_nobody_listens_the_hub_says_offline(calls: Calls) -> None:
    calls.hear(kept=True)
    calls.answer(nobody=True)
    assert calls.absent == [WorkerAbsent("jetson", CALL, None)]
    (said,) = calls.line.said
    assert BY in said.properties
    assert read(WorkerState, said.payload) == JETSON.model_copy(update={"online": False, "load": None})
    assert calls.hear_itself()
    calls.answer(nobody=True)
    calls.calls.call("jetson")
    calls.answer(nobody=True)
    assert (calls.told(), len(calls.absent)) == ([False], 1)


def test_what_it_said_itself_makes_an_older_answer_void(calls: Calls) -> None:
    calls.hear(kept=True)
    calls.hear()
    calls.answer(nobody=True)
    assert (calls.told(), calls.absent) == ([], [])


def test_a_connection_that_breaks_is_no_answer(calls: Calls) -> None:
    calls.hear(kept=True)
    calls.line.calls[0].finish(BrokerError("gone"))
    assert (calls.told(), calls.absent) == ([], [])


def test_a_worker_that_comes_back_as_the_hub_gives_it_up_is_there(calls: Calls) -> None:
    calls.hear(kept=True)
    calls.answer(nobody=True)
    assert calls.hear(start=2)
    assert not calls.hear_itself(), "its own word is newer"
    calls.answer(nobody=False)
    assert calls.told() == [False, True]
    assert read(WorkerState, calls.line.said[-1].payload).incarnation == an_id(2)
    assert calls.hear_itself()
    calls.answer(nobody=False)
    assert (calls.told(), len(calls.absent)) == ([False, True], 1)


def test_one_that_comes_back_and_is_gone_again_is_gone(calls: Calls) -> None:
    calls.hear(kept=True)
    calls.answer(nobody=True)
    calls.hear(start=2)
    calls.hear_itself()
    calls.answer(nobody=True)
    assert (calls.told(), len(calls.absent)) == ([False, False], 2)


def test_a_connection_that_breaks_as_the_hub_speaks_leaves_the_last_word_to_the_worker(calls: Calls) -> None:
    calls.hear(kept=True)
    calls.answer(nobody=True)
    calls.hear(start=2)
    calls.hear_itself()
    calls.answer(nobody=False)
    assert not calls.hear_itself(0, kept=True), "the offline is kept still"
    calls.answer(nobody=False)
    assert calls.told() == [False, True, True]


def test_one_that_subscribes_after_it_has_spoken_is_used_again(calls: Calls) -> None:
    calls.hear()
    calls.calls.nobody("jetson")
    calls.answer(nobody=True)
    assert calls.hear_itself()
    calls.answer(nobody=True)
    assert calls.told() == [False]
    calls.calls.call("jetson")
    calls.answer(nobody=False)
    assert calls.told() == [False, True]
    assert calls.hear_itself()


def test_one_whom_a_job_missed_by_a_moment_is_used_again(calls: Calls) -> None:
    """The core has dropped it, and its state on the bus is as it was."""
    calls.hear()
    calls.calls.nobody("jetson")
    calls.answer(nobody=False)
    assert (calls.told(), calls.absent) == ([True], [])


@pytest.mark.parametrize("nobody", [True, False])
def test_what_an_earlier_run_of_the_hub_said_is_looked_into(calls: Calls, nobody: bool) -> None:
    """It may have ended between its word and the worker's answer."""
    state = JETSON.model_copy(update={"online": False})
    assert calls.calls.heard(state, Incoming(STATE, state.to_json(), [BY], retain=True)), (
        "till then it counts"
    )
    calls.answer(nobody=nobody)
    assert (calls.told(), calls.absent) == ([] if nobody else [True], [])


def test_one_that_was_cleared_is_not_called(calls: Calls) -> None:
    calls.hear()
    calls.calls.forgotten("jetson")
    calls.calls.nobody("jetson")
    assert not calls.line.calls


def test_one_that_answers_calls_has_to_when_somebody_else_listens_too(calls: Calls) -> None:
    calls.answers = True
    calls.hear(kept=True)
    calls.answer(nobody=False)
    calls.look(PATIENCE - 0.001)
    assert calls.told() == []
    calls.look(0.001)
    assert calls.told() == [False]
    assert calls.absent == [WorkerAbsent("jetson", CALL, None)]
    assert calls.hear_itself()
    calls.answer(nobody=False)
    calls.look(10 * PATIENCE)
    assert calls.told() == [False], "that somebody listens says nothing of it"
    calls.calls.spoke("jetson", an_id(9))
    assert calls.told() == [False], "of another start"
    calls.calls.spoke("jetson", an_id(1))
    assert calls.told() == [False, True]


def test_one_that_answers_a_call_is_there(calls: Calls) -> None:
    calls.answers = True
    calls.hear(kept=True)
    calls.answer(nobody=False)
    calls.calls.spoke("jetson", an_id(1))
    calls.look(10 * PATIENCE)
    assert (calls.told(), calls.absent) == ([], [])


def test_who_does_not_answer_calls_is_not_waited_for(calls: Calls) -> None:
    calls.hear(kept=True)
    calls.answer(nobody=False)
    calls.look(10 * PATIENCE)
    assert calls.told() == []


def test_nobody_is_given_up_while_the_hub_is_away_itself(calls: Calls) -> None:
    calls.answers = True
    calls.hear(kept=True)
    calls.answer(nobody=False)
    calls.line.connected = False
    calls.look(10 * PATIENCE)
    assert calls.told() == []
    calls.line.connected = True
    calls.hear(kept=True)
    calls.answer(nobody=False)
    calls.look(PATIENCE - 0.001)
    assert calls.told() == []
