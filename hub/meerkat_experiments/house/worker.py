"""A worker as docs/reference/worker-protocol.md has it, and every way in which one may misbehave."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from meerkat_contract.messages import (
    Cancel,
    Deploy,
    Job,
    ModelInfo,
    Result,
    Sighting,
    TaskInfo,
    Track,
    WorkerState,
    read,
)
from meerkat_contract.metadata import Metadata
from meerkat_contract.session import Delivery, Incoming, Will
from meerkat_contract.topics import HubTopic, WorkerTopic

from .clock import Clock
from .network import Line
from .session import Bus, SimulatedSession
from .watch import Watch

SAMPLED = 25
"""Frames looked at in each clip."""

TASKS = ("detect_objects", "detect_faces")


@dataclass(frozen=True, slots=True)
class Habits:
    """A worker's character. The default is an honest one. Shares are of its jobs."""

    frames_per_second: float = 50.0
    window: int = 2
    jitter: float = 0.2
    announced: float = 1.0
    """What it announces, as a multiple of its real speed."""
    tells: float = 1.0
    """The time that it says a job took, as a multiple of the real one."""
    slow: float = 0.03
    """Share that takes a hundred times as long: leases end before it does."""
    hangs: float = 0.0
    """Share that is never answered; it serves nothing more until it is cancelled or started again."""
    deaf_to_cancel: bool = False
    declines: float = 0.01
    """Share that fails for now: another may succeed."""
    fails: float = 0.005
    """Share that fails for good."""
    babbles: float = 0.0
    """Share after which it says things that are wrong or no messages at all."""
    restarts_every: float = 0.0
    """Mean seconds between two starts of its own; 0 for never."""
    twin: bool = False
    """It uses another worker's name, with an MQTT client id of its own."""


@dataclass(slots=True, eq=False)
class _Held:
    job: Job
    received: float
    stale: bool = False
    called_off: bool = False


class Worker:
    def __init__(self, name: str, bus: Bus, watch: Watch, habits: Habits) -> None:
        self.name = name
        self.habits = habits
        self._who = f"{name} (twin)" if habits.twin else name
        self._bus = bus
        self._clock: Clock = bus.clock
        self._watch = watch
        self._chance = bus.clock.chance(f"worker {self._who}")
        self._line = Line(bus.clock)
        self._starts = 0
        self.session: SimulatedSession | None = None
        self.start()
        if habits.restarts_every:
            self._clock.after(self._chance.expovariate(1 / habits.restarts_every), self._restless)

    # --- its life -------------------------------------------------------------------------------

    def start(self) -> None:
        """A new incarnation, which knows nothing of the one before."""
        self._starts += 1
        self._incarnation = self._clock.new_id()
        self._waiting: deque[_Held] = deque()
        self._running: _Held | None = None
        self._seen: deque[tuple[str, int]] = deque(maxlen=128)
        self._answers: dict[int, Result] = {}
        self._answered = 0
        self._ending = False
        self._serving: str | None = None
        state = self._state(online=True)
        session = self.session = SimulatedSession(
            self._bus,
            self._line,
            client_id=f"meerkat-worker-{self._who}",
            will=Will(self._topic("state"), self._state(online=False).to_json()),
            on_connected=self._connected,
            on_disconnected=lambda _: self._taken_back(),
        )
        session.subscribe(self._topic("jobs"), self._job)
        session.subscribe(self._topic("cancel"), self._cancel)
        session.subscribe(self._topic("deploy"), self._deploy)
        session.subscribe(HubTopic("availability"), lambda _: self._taken_back())
        session.keep(self._topic("state"), state.to_json())
        session.start()
        self._watch.note(self._who, "starts", count="workers started")

    def crash(self, away: float) -> None:
        """It is gone at once; the broker notices now, or when the keepalive is over."""
        if self.session is None:
            return
        self._watch.note(self._who, "crashes", count="workers killed")
        self.session.vanish(self._chance.choice((0.0, 0.0, 33.0)))
        self._gone_for(away)

    def drain(self, away: float) -> None:
        """The clean end: hand back what waits, let the running job go on a little, say goodbye."""
        session = self.session
        if session is None or self._ending:
            return
        self._watch.note(self._who, "drains", count="workers drained")
        self._ending = True
        waiting, self._waiting = list(self._waiting), deque()
        for held in waiting:
            self._hand_back(held.job, "the worker is ending")
        starts = self._starts

        def goodbye() -> None:
            if self._starts != starts or self.session is not session:
                return
            if self._running is not None:
                self._hand_back(self._running.job, "the worker is ending")
            session.keep(self._topic("state"), self._state(online=False).to_json())
            session.stop()
            self._gone_for(away)

        self._clock.after(3.0, goodbye)

    def _gone_for(self, seconds: float) -> None:
        self.session = None
        self._running = None
        starts = self._starts

        def back() -> None:
            if self._starts == starts:
                self.start()

        self._clock.after(seconds, back)

    def _restless(self) -> None:
        if self._chance.random() < 0.5:
            self.crash(self._chance.uniform(0, 5))
        else:
            self.drain(self._chance.uniform(0, 5))
        self._clock.after(self._chance.expovariate(1 / self.habits.restarts_every) + 10, self._restless)

    def _state(self, *, online: bool) -> WorkerState:
        speed = self.habits.frames_per_second * self.habits.announced
        model = ModelInfo(name="simulated")
        return WorkerState(
            worker=self.name,
            incarnation=self._incarnation,
            online=online,
            tasks=tuple(TaskInfo(task=task, model=model, frames_per_second=speed) for task in TASKS),
            window=self.habits.window,
            ahead=True,
            roll_call=True,
            serving=self._serving,
        )

    def _topic(self, kind: str) -> str:
        return str(WorkerTopic(self.name, kind))

    # --- jobs -----------------------------------------------------------------------------------

    def _connected(self) -> None:
        for number in list(self._answers):
            self._publish(number)

    def _taken_back(self) -> None:
        for held in self._all():
            held.stale = True

    def _all(self) -> list[_Held]:
        return [*([self._running] if self._running else []), *self._waiting]

    def _job(self, message: Incoming) -> None:
        job = read(Job, dict(message.properties)["job"].encode(), topic=message.topic)
        key = (job.job, job.token)
        if key in self._seen:
            return
        if self._ending:
            self._hand_back(job, "the worker is ending")
        elif not self._serves(job):
            self._hand_back(job, f"it serves {self._serving}")
        elif not self._renewed(job):
            if len(self._all()) >= self.habits.window and not self._make_room():
                self._hand_back(job, "window full")
                return
            self._line_up(_Held(job, self._clock.mono))
        self._seen.append(key)
        self._next()

    def _line_up(self, held: _Held) -> None:
        """Those marked so are done ahead of the others that have not begun."""
        if held.job.ahead:
            self._waiting.insert(sum(1 for other in self._waiting if other.job.ahead), held)
        else:
            self._waiting.append(held)

    def _serves(self, job: Job) -> bool:
        return job.task in TASKS and self._serving in (None, job.task)

    def _deploy(self, message: Incoming) -> None:
        """One task at a time: what waits for another is handed back, and loading takes a while."""
        order = read(Deploy, message.payload, topic=message.topic)
        session = self.session
        self._watch.note(self._who, f"loads {order.task or 'all'}", count="tasks deployed")

        def loaded() -> None:
            if session is None or self.session is not session or self._ending:
                return
            self._serving = order.task or None
            for held in [held for held in self._waiting if not self._serves(held.job)]:
                self._waiting.remove(held)
                self._hand_back(held.job, f"it serves {self._serving}")
            session.keep(self._topic("state"), self._state(online=True).to_json())

        self._clock.after(self._chance.uniform(0.1, 4.0), loaded)

    def _renewed(self, job: Job) -> bool:
        for held in self._all():
            if held.job.job == job.job and held.job.token < job.token and not held.called_off:
                held.job, held.received, held.stale = job, self._clock.mono, False
                return True
        return False

    def _make_room(self) -> bool:
        for held in self._all():
            if held.stale:
                if held is self._running:
                    self._running = None
                else:
                    self._waiting.remove(held)
                return True
        return False

    def _cancel(self, message: Incoming) -> None:
        cancel = read(Cancel, message.payload, topic=message.topic)
        if self.habits.deaf_to_cancel:
            return
        for held in self._all():
            if (held.job.job, held.job.token) == (cancel.job, cancel.token):
                if held is self._running:
                    self._running = None
                else:
                    self._waiting.remove(held)
                self._hand_back(held.job, "cancelled")
                self._next()
                return

    def _next(self) -> None:
        if self._running is not None or not self._waiting:
            return
        held = self._running = self._waiting.popleft()
        if self._chance.random() < self.habits.hangs:
            self._watch.note(self._who, f"hangs on {held.job.job[:8]}", count="jobs never answered")
            return
        seconds = (
            _frames_of(held.job)
            / self.habits.frames_per_second
            * self._chance.lognormvariate(0, self.habits.jitter)
        )
        if self._chance.random() < self.habits.slow:
            seconds *= 100 + 1000 * self._chance.random()
        starts = self._starts

        def done() -> None:
            if self._starts == starts and self._running is held:
                self._running = None
                self._answer(held.job, seconds)
                self._next()

        self._clock.after(seconds, done)

    def _answer(self, job: Job, seconds: float) -> None:
        fate = self._chance.random()
        told = min(seconds * self.habits.tells, 1e8)
        if fate < self.habits.declines:
            result = self._result(job, "failed", told, reason="no memory just now", retry=True)
        elif fate < self.habits.declines + self.habits.fails:
            result = self._result(job, "failed", told, reason="it cannot be decoded")
        else:
            tracks = (self._track(),) if self._chance.random() < 0.3 else ()
            result = self._result(job, "done", told, tracks=tracks)
        self._send(result)
        if self._chance.random() < self.habits.babbles:
            self._babble(job, result)

    def _hand_back(self, job: Job, reason: str) -> None:
        self._send(self._result(job, "failed", 0.0, reason=reason, retry=True))

    def _result(
        self,
        job: Job,
        state: str,
        seconds: float,
        *,
        reason: str = "",
        retry: bool = False,
        tracks: tuple[Track, ...] = (),
    ) -> Result:
        return Result.model_validate(
            {
                "job": job.job,
                "token": job.token,
                "incarnation": self._incarnation,
                "state": state,
                "reason": reason,
                "retry": retry,
                "frames": _frames_of(job) if seconds else 0,
                "seconds": seconds,
                "model": ModelInfo(name=self.name),
                "tracks": tracks,
            }
        )

    def _track(self) -> Track:
        x = round(self._chance.uniform(0.1, 0.6), 3)
        sightings = tuple(Sighting(at=at, score=0.8, box=(x, 0.3, 0.1, 0.4)) for at in (0.2, 2.0, 4.8))
        picture = "UGljdHVyZQ==" if self._chance.random() < 0.5 else None
        return Track.model_validate(
            {
                "track": 0,
                "label": "person",
                "score": 0.8,
                "hits": 3,
                "sightings": sightings,
                "best": sightings[1],
                "picture": picture,
            }
        )

    def _babble(self, job: Job, result: Result) -> None:
        """What a broken worker may say: no JSON, another's token, the same again, a job never given."""
        assert self.session is not None
        wrong = (
            b"{",
            result.model_copy(update={"token": job.token + 1}).to_json(),
            result.model_copy(update={"token": max(job.token - 1, 0)}).to_json(),
            result.model_copy(update={"state": "failed", "retry": False}).to_json(),
            result.model_copy(update={"job": self._clock.new_id()}).to_json(),
            result.model_copy(update={"incarnation": self._clock.new_id()}).to_json(),
        )
        self._watch.note(self._who, "babbles", count="wrong messages of workers")
        self.session.publish(self._topic("results"), self._chance.choice(wrong), qos=1)

    # --- answers, kept until the broker has them ------------------------------------------------

    def _send(self, result: Result) -> None:
        self._answered += 1
        self._answers[self._answered] = result
        self._publish(self._answered)

    def _publish(self, number: int) -> None:
        result = self._answers[number]
        metadata = Metadata.model_construct(
            id=result.job, captured_at=self._clock.true_time(), content_type="application/json"
        )
        if self.session is None:
            return
        delivery = self.session.publish(self._topic("results"), result.to_json(), qos=1, metadata=metadata)
        answers = self._answers

        def settled(done: Delivery) -> None:
            if done.error is None:
                answers.pop(number, None)

        delivery.add_done_callback(settled)


def _frames_of(job: Job) -> int:
    return 1 if job.workflow else SAMPLED
