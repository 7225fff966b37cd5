"""What a worker says of itself, and when it gives up: in this process, against a real broker."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from unittest.mock import create_autospec

import pytest

from meerkat_contract.connection import Connection
from meerkat_contract.errors import ModelError
from meerkat_contract.ids import new_id
from meerkat_contract.messages import Deploy, Job, ModelInfo, Result, WorkerState, read
from meerkat_contract.metadata import Metadata
from meerkat_contract.session import Incoming, Session
from meerkat_contract.topics import WorkerTopic
from meerkat_inference import node, worker
from meerkat_inference.measure import IDLE_SECONDS, LONGEST_PAUSE, QuietTimes
from meerkat_inference.tasks import Circumstances, Tasks
from meerkat_inference.worker import FAILURES, Worker
from support.broker import Mosquitto
from support.wait import wait_for

NAME = "stick"


class Stick:
    """A task on an accelerator that can be pulled out."""

    def __init__(self) -> None:
        self.info = ModelInfo(name="stick")
        self.device = "edgetpu usb:0"
        self.plugged = True
        self.spoilt = 0
        """Jobs that fail though the accelerator is sound."""

    def do(self, job: Job, payload: bytes, circumstances: Circumstances) -> Result:
        sound = self.plugged and not self.spoilt
        self.spoilt = max(0, self.spoilt - 1)
        return Result(
            job=job.job,
            token=job.token,
            incarnation=circumstances.incarnation,
            state="done" if sound else "failed",
            retry=not sound,
            seconds=6.0,
        )

    def look(self, picture: object) -> None:
        if not self.plugged:
            raise ModelError("the device is gone")

    def close(self) -> None:
        """Nothing is held."""


class Bench:
    """A worker on a thread of this process, and the hub's side of it."""

    def __init__(self, broker: Mosquitto) -> None:
        self.stick = Stick()
        tasks = Tasks({"detect_objects": lambda model: self.stick})
        tasks.prepare()
        self.worker = Worker(NAME, broker.connection, tasks, energy=4.5)
        self.status: list[int] = []
        self.states: list[WorkerState] = []
        self.results: list[Result] = []
        self.session = Session(broker.connection, client_id="hub")
        self.session.subscribe(WorkerTopic(NAME, "state"), self._state)
        self.session.subscribe(WorkerTopic(NAME, "results"), self._result)
        self.session.start()
        self.session.wait_subscribed(10)
        self.thread = threading.Thread(target=lambda: self.status.append(self.worker.run()), daemon=True)
        self.thread.start()
        wait_for(lambda: self.states, what="the announcement")

    def _state(self, message: Incoming) -> None:
        self.states.append(read(WorkerState, message.payload))

    def _result(self, message: Incoming) -> None:
        self.results.append(read(Result, message.payload))

    def jobs(self, count: int) -> None:
        """Send some, one after the other."""
        for _ in range(count):
            had = len(self.results)
            job = Job(
                job=new_id(),
                token=1,
                device="porch",
                camera="front",
                media=new_id(),
                captured_at=datetime.now(UTC),
                lease=60,
            )
            self.session.publish(
                WorkerTopic(NAME, "jobs"),
                b"x",
                qos=1,
                metadata=Metadata(id=job.job, captured_at=job.captured_at),
                properties=[("job", job.to_json().decode())],
            ).wait(10)
            wait_for(lambda had=had: len(self.results) > had, what="the answer")

    def end(self) -> None:
        self.worker.end()
        self.thread.join(20)
        self.session.stop()


@pytest.fixture
def bench(broker: Mosquitto, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(worker, "ANNOUNCE_SECONDS", 0.05)
    monkeypatch.setattr(node, "temperature", lambda: 50.0)
    monkeypatch.setattr(node, "memory_free", lambda: 1000)
    made = Bench(broker)
    yield made
    made.end()


def test_an_accelerator_that_is_gone_ends_the_worker_after_some_jobs(bench: Bench) -> None:
    bench.jobs(1)
    bench.stick.plugged = False
    bench.jobs(FAILURES)
    bench.thread.join(20)
    assert bench.status == [1]
    wait_for(lambda: not bench.states[-1].online, what="the goodbye")
    assert [result.state for result in bench.results] == ["done"] + ["failed"] * FAILURES


def test_failures_of_a_sound_accelerator_do_not(bench: Bench) -> None:
    bench.stick.spoilt = FAILURES
    bench.jobs(FAILURES)
    bench.stick.spoilt = FAILURES - 1
    bench.jobs(FAILURES)
    assert bench.status == []
    assert bench.results[-1].state == "done"


def test_a_switch_that_fails_on_an_accelerator_that_is_gone_ends_the_worker(bench: Bench) -> None:
    bench.stick.plugged = False
    order = Deploy(task="detect_objects", model="another")
    bench.session.publish(WorkerTopic(NAME, "deploy"), order.to_json(), qos=1).wait(10)
    bench.thread.join(20)
    assert bench.status == [1]


def test_a_figure_of_a_busy_moment_is_mended_in_quiet_times(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = bench.worker._tasks
    slow = tasks.infos[0].model_copy(update={"frames_per_second": 0.5})
    tasks._infos["detect_objects"] = slow
    tasks._measured = dict.fromkeys(tasks._measured, 0.5)
    bench.worker._restate(tasks=tasks.infos)
    wait_for(lambda: bench.states[-1].tasks[0].frames_per_second == 0.5, what="the poor figure")
    monkeypatch.setattr(bench.worker._quiet, "due", lambda now: True)
    wait_for(lambda: bench.states[-1].tasks[0].frames_per_second > 100, what="the true figure")
    bench.jobs(1)
    assert bench.results[-1].state == "done"
    bench.stick.plugged = False  # to measure is no job: the next one tells
    order = Deploy(task="detect_objects")
    bench.session.publish(WorkerTopic(NAME, "deploy"), order.to_json(), qos=1).wait(10)
    wait_for(lambda: bench.states[-1].serving == "detect_objects", what="the order to be carried out")
    assert bench.status == []


def test_quiet_times_begin_a_minute_after_the_last_job_and_come_ever_more_rarely() -> None:
    quiet = QuietTimes(100.0)
    assert not quiet.due(100 + IDLE_SECONDS - 0.001)
    assert quiet.due(100 + IDLE_SECONDS)
    quiet.worked(150)
    assert not quiet.due(150 + IDLE_SECONDS - 0.001)
    quiet.measured(1000, news=False)
    assert not quiet.due(1000 + 2 * IDLE_SECONDS - 0.001)
    assert quiet.due(1000 + 2 * IDLE_SECONDS)
    for _ in range(20):
        quiet.measured(2000, news=False)
    assert quiet.due(2000 + LONGEST_PAUSE)
    assert not quiet.due(2000 + LONGEST_PAUSE - 0.001)
    quiet.measured(3000, news=True)
    assert quiet.due(3000 + IDLE_SECONDS)


def test_an_order_that_fails_is_told_in_the_state_at_once_and_each_time(bench: Bench) -> None:
    def order(task: str) -> list[dict[str, str] | None]:
        """What the state says of failures, from this order on."""
        told = len(bench.states)
        message = Deploy(task=task)
        bench.session.publish(WorkerTopic(NAME, "deploy"), message.to_json(), qos=1).wait(10)
        wait_for(lambda: len(bench.states) > told, what="a state")
        return [state.failed for state in bench.states[told:]]

    reason = "deploy: this worker knows no task 'read_meter'. It can load detect_objects"
    assert order("read_meter") == [{"read_meter": reason}]
    assert bench.states[-1].serving is None
    order("read_meter")
    wait_for(lambda: len(bench.states) >= 4, what="the failure gone, and told again")
    assert [state.failed for state in bench.states[-2:]] == [None, {"read_meter": reason}]
    order("detect_objects")
    assert (bench.states[-1].serving, bench.states[-1].failed) == ("detect_objects", {"read_meter": reason})


def test_a_switch_that_outlasts_the_end_does_not_undo_the_goodbye(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(order: Deploy) -> None:
        begun.set()
        go_on.wait(30)

    monkeypatch.setattr(bench.worker._tasks, "switch", slow)
    monkeypatch.setattr(worker, "END_SECONDS", 0.05)
    monkeypatch.setattr(bench.worker, "_drain_seconds", 0.05)
    stop = bench.worker._session.stop

    def late(*args: object, **options: object) -> None:
        go_on.set()  # the switch ends between the goodbye and the end of the session
        bench.worker._inbox.wait_idle(10)
        wait_for(lambda: not any(t.name == "jobs" for t in threading.enumerate()), what="its end")
        stop(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(bench.worker._session, "stop", late)
    bench.session.publish(WorkerTopic(NAME, "deploy"), Deploy(task="x").to_json(), qos=1).wait(10)
    assert begun.wait(10)
    bench.worker.end()
    bench.thread.join(20)
    assert bench.status == [0]
    wait_for(lambda: not bench.states[-1].online, what="the goodbye")
    retained: list[bool] = []
    late_comer = Session(bench.session.connection, client_id="late-comer")
    late_comer.subscribe(
        WorkerTopic(NAME, "state"), lambda m: retained.append(read(WorkerState, m.payload).online)
    )
    late_comer.start()
    wait_for(lambda: retained, what="the retained state")
    late_comer.stop()
    assert retained == [False]


def test_it_says_how_it_is_when_that_has_changed_enough(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = bench.states[0]
    assert (first.temperature, first.memory_free, first.energy, first.load) == (50.0, 1000, 4.5, 0.0)
    monkeypatch.setattr(node, "temperature", lambda: 52.9)
    monkeypatch.setattr(node, "memory_free", lambda: 801)
    bench.jobs(1)
    wait_for(lambda: bench.states[-1].load, what="the load")
    told = len(bench.states)
    assert bench.states[-1].temperature == 52.9, "all is told when one has changed enough"
    monkeypatch.setattr(node, "temperature", lambda: 56.0)
    wait_for(lambda: bench.states[-1].temperature == 56.0, what="the temperature")
    assert len(bench.states) > told
    monkeypatch.setattr(node, "memory_free", lambda: 100)
    wait_for(lambda: bench.states[-1].memory_free == 100, what="the memory")
    monkeypatch.setattr(node, "temperature", lambda: None)
    wait_for(lambda: bench.states[-1].temperature is None, what="a sensor that is silent")


# --- the end --------------------------------------------------------------------------------------


class _Delivery:
    """On its way until it is settled."""

    error = None

    def __init__(self) -> None:
        self.told: Callable[..., None] = lambda _: None

    def add_done_callback(self, fn: Callable[..., None]) -> None:
        self.told = fn


class _SlowBroker:
    """In place of a session: whatever is published stays on its way until the test says otherwise."""

    def __init__(self, *_: object, **__: object) -> None:
        self.handlers: dict[str, Callable[[Incoming], None]] = {}
        self.under_way: list[_Delivery] = []
        self.lost: int | None = None
        """How many were on their way when the session was stopped."""

    def subscribe(self, topic: object, handler: Callable[[Incoming], None], **_: object) -> None:
        self.handlers[str(topic)] = handler

    def publish(self, *_: object, **__: object) -> _Delivery:
        self.under_way.append(_Delivery())
        return self.under_way[-1]

    def keep(self, *_: object) -> None:
        """The state is nobody's concern here."""

    def start(self) -> None:
        """It is there from the beginning."""

    def arrive(self) -> None:
        while self.under_way:
            delivery = self.under_way.pop()
            delivery.told(delivery)

    def stop(self) -> None:
        self.lost = len(self.under_way)


class _Slow(Stick):
    """A task that takes until the test says `enough`, or its job is called off."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.enough = threading.Event(), threading.Event()
        self.called_off = False

    def do(self, job: Job, payload: bytes, circumstances: Circumstances) -> Result:
        self.begun.set()
        wait_for(lambda: self.enough.is_set() or circumstances.cancelled(), what="the end of the job")
        self.called_off = circumstances.cancelled()
        return super().do(job, payload, circumstances)


class Ending:
    """A worker that is at a job, with a broker that is slow to take what it says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, task: Stick, **settings: float) -> None:
        self.broker = _SlowBroker()
        monkeypatch.setattr(worker, "Session", lambda *_, **__: self.broker)
        tasks = Tasks({"detect_objects": lambda model: task})
        tasks.prepare()
        self.worker = Worker(NAME, Connection("nowhere", 1), tasks, **settings)
        self.thread = threading.Thread(target=self.worker.run, daemon=True)
        self.thread.start()
        jobs = str(WorkerTopic(NAME, "jobs"))
        wait_for(lambda: jobs in self.broker.handlers, what="the subscription")
        self.job()

    def job(self, *, lease: float = 60) -> None:
        topic = str(WorkerTopic(NAME, "jobs"))
        job = Job(
            job=new_id(),
            token=1,
            device="porch",
            camera="front",
            media=new_id(),
            captured_at=datetime.now(UTC),
            lease=lease,
        )
        message = create_autospec(Incoming, instance=True, payload=b"x", topic=topic)
        message.properties = [("job", job.to_json().decode())]
        self.broker.handlers[topic](message)

    def over(self) -> None:
        self.thread.join(20)
        assert not self.thread.is_alive()


def test_the_end_waits_until_the_broker_has_the_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    ending = Ending(monkeypatch, Stick())
    wait_for(lambda: ending.broker.under_way, what="the answer on its way")
    ending.worker.end()
    threading.Timer(0.2, ending.broker.arrive).start()
    ending.over()
    assert ending.broker.lost == 0


def test_the_running_job_has_its_time_to_finish(monkeypatch: pytest.MonkeyPatch) -> None:
    task = _Slow()
    ending = Ending(monkeypatch, task, drain_seconds=15)
    assert task.begun.wait(10)
    ending.worker.end()
    threading.Timer(0.2, task.enough.set).start()
    wait_for(lambda: ending.broker.under_way, what="the answer")
    ending.broker.arrive()
    ending.over()
    assert not task.called_off
    assert ending.worker.counts.done == 1


def test_asked_twice_the_running_job_is_given_back_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    task = _Slow()
    ending = Ending(monkeypatch, task, drain_seconds=600)
    assert task.begun.wait(10)
    ending.worker.end()
    ending.worker.end()
    wait_for(lambda: ending.broker.under_way, what="the answer")
    ending.broker.arrive()
    ending.over()
    assert task.called_off


def test_a_job_whose_lease_is_over_before_it_begins_is_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    task = _Slow()
    ending = Ending(monkeypatch, task, drain_seconds=15)
    assert task.begun.wait(10)
    task.begun.clear()
    ending.job(lease=1e-6)
    task.enough.set()
    wait_for(lambda: len(ending.broker.under_way) == 2, what="both answers")
    assert not task.begun.is_set()
    assert (ending.worker.counts.done, ending.worker.counts.refused) == (1, 1)
    ending.worker.end()
    threading.Timer(0.2, ending.broker.arrive).start()
    ending.over()
