"""A hub's core with meters, on a clock that the test turns, and a worker whose answers the test gives."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from meerkat_contract.messages import (
    MeterReading,
    MeterSeen,
    MeterVerdict,
    ModelInfo,
    Result,
    TaskInfo,
    WorkerState,
)
from meerkat_contract.meter_layout import CounterLayout, MeterLayout
from meerkat_contract.meter_messages import Candidate, CounterSeen
from meerkat_hub.core.clips import CoreSettings
from meerkat_hub.core.inputs import BusChanged, Input, PictureArrived, ResultArrived, TimeReached, WorkerSeen
from meerkat_hub.core.machine import HubCore
from meerkat_hub.core.meter_records import (
    AnswerMeter,
    ConfiguredMeter,
    MeterAsked,
    MeterKey,
    PictureSettled,
    SendPicture,
    SetLayout,
    StoredMeters,
    Wish,
)
from meerkat_hub.core.outputs import Announce, Change, Effect, SendReceipt
from meerkat_hub.core.records import MeterPicture, Now

START = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
WATER = ("basement", "water")
LAYOUT = MeterLayout(
    digits=tuple((60.0 * i, 0.0, 50.0, 80.0) for i in range(5)),
    integer_digits=5,
    pointers=((300.0, 0.0, 100.0, 100.0),),
)
"""Five wheels and a dial: it reads 12345.6 m³."""
_NIGHT = CounterLayout(**LAYOUT.model_dump(include=set(CounterLayout.model_fields)))
BOTH = LAYOUT.model_copy(update={"counters": {"night": _NIGHT}})
"""With a second counter of the same kind, `night`."""


def an_id(number: int) -> str:
    return f"00000000-0000-7000-8000-{number:012x}"


def counter(
    value: float | None, *, name: str | None = None, confidence: float = 0.99, verdict: str = "accepted"
) -> CounterSeen:
    """What a reader says of one counter of LAYOUT; None: that it cannot see it."""
    return CounterSeen.model_validate(
        {
            "counter": name,
            "verdict": "unreadable" if value is None else verdict,
            "value": value,
            "confidence": confidence if value is not None else 0.0,
            "unit": "m³",
            "step": 0.1,
            "span": 100_000.0,
            "candidates": [] if value is None else [Candidate(value=value, likelihood=1.0)],
        }
    )


def seen(value: float | None, **fields: object) -> MeterSeen:
    return MeterSeen(counters=(counter(value, **fields),))  # type: ignore[arg-type]


def a_picture(number: int, *, hours: float = 0, late: float = 0, meter: str = "water") -> MeterPicture:
    """Taken so many hours after START, and arrived `late` hours later."""
    at = START + timedelta(hours=hours)
    return MeterPicture(an_id(number), "basement", meter, at, at + timedelta(hours=late), 1000)


class MeterDriver:
    """Drives a core. `mono` are seconds since START."""

    def __init__(
        self,
        *,
        configured: Mapping[MeterKey, ConfiguredMeter] | None = None,
        stored: StoredMeters | None = None,
        epoch: int = 1,
        at: float = 0.0,
    ) -> None:
        self._next_id = 0xE000 * epoch
        self._answered: set[int] = set()
        self.mono = at
        self.changes: list[Change] = []
        self.effects: list[Effect] = []
        self.notes: list[str] = []
        self.core = HubCore(epoch=epoch, new_id=self._new_id, settings=CoreSettings(), meters=configured)
        if stored is not None:
            self._keep(self.core.load((), (), self.now, meters=stored))
        self.do(BusChanged(up=True))

    def _new_id(self) -> str:
        self._next_id += 1
        return an_id(self._next_id)

    def _keep(self, decision: object) -> None:
        self.changes += decision.changes  # type: ignore[attr-defined]
        self.effects += decision.effects  # type: ignore[attr-defined]
        self.notes += decision.notes  # type: ignore[attr-defined]

    @property
    def now(self) -> Now:
        return Now(START + timedelta(seconds=self.mono), self.mono)

    def do(self, happened: Input) -> None:
        self._keep(self.core.step(happened, self.now))
        self.check()

    def turn(self, hours: float) -> None:
        self.mono += 3600 * hours
        self.do(TimeReached())

    def worker(self, name: str = "cpu", *, start: int = 1, online: bool = True, serving: str = "") -> None:
        tasks = tuple(
            TaskInfo(task=task, model=ModelInfo(name="m"), frames_per_second=30, beside=task == "read_meter")
            for task in ("detect_objects", "read_meter")
        )
        self.do(
            WorkerSeen(
                WorkerState(
                    worker=name,
                    incarnation=an_id(0xB000 + start),
                    online=online,
                    tasks=tasks,
                    window=4,
                    serving=serving or None,
                )
            )
        )

    def picture(self, number: int, **when: float) -> MeterPicture:
        picture = a_picture(number, **when)  # type: ignore[arg-type]
        self.mono = max(self.mono, (picture.received_at - START).total_seconds())
        self.do(PictureArrived(picture))
        return picture

    def ask(self, wish: Wish, *, key: MeterKey = WATER) -> AnswerMeter | None:
        """The answer, when it comes at once."""
        ticket = self._new_id()
        before = len(self.effects)
        self.do(MeterAsked(ticket, *key, wish))
        return next((e for e in self.effects[before:] if isinstance(e, AnswerMeter)), None)

    def lay_out(self, layout: MeterLayout | None = LAYOUT, latest: MeterPicture | None = None) -> None:
        answer = self.ask(SetLayout(layout, latest))
        assert answer is not None
        assert answer.outcome == "done", answer

    def answers(self) -> list[AnswerMeter]:
        return [effect for effect in self.effects if isinstance(effect, AnswerMeter)]

    # --- workers' answers -----------------------------------------------------------------------

    def jobs(self) -> list[SendPicture]:
        return [effect for effect in self.effects if isinstance(effect, SendPicture)]

    def answer(
        self,
        said: MeterSeen | None,
        *,
        job: SendPicture | None = None,
        state: str = "done",
        reason: str = "",
        retry: bool = False,
        start: int = 1,
    ) -> None:
        """To the first job that is not answered yet, or to this one."""
        sent = job or next(one for one in self.jobs() if one.job.token not in self._answered)
        self._answered.add(sent.job.token)
        self.do(
            ResultArrived(
                sent.worker,
                Result.model_validate(
                    {
                        "job": sent.job.job,
                        "token": sent.job.token,
                        "incarnation": an_id(0xB000 + start),
                        "state": state,
                        "reason": reason,
                        "retry": retry,
                        "frames": 1,
                        "seconds": 0.02,
                        "model": ModelInfo(name="meter"),
                        "meter": said,
                    }
                ),
            )
        )

    def read(self, number: int, value: float | None, **when: float) -> None:
        """A picture comes, and a worker reads it."""
        self.picture(number, **when)
        self.answer(seen(value))

    # --- what followed --------------------------------------------------------------------------

    def readings(self, meter: str = "water") -> list[MeterReading]:
        return [MeterReading.model_validate_json(text) for text in self._said(meter, "reading")]

    def verdicts(self, meter: str = "water") -> list[MeterVerdict]:
        return [MeterVerdict.model_validate_json(text) for text in self._said(meter, "verdict")]

    def _said(self, meter: str, kind: str) -> list[bytes]:
        topic = f"meerkat/meter/basement/{meter}/{kind}"
        return [c.payload for c in self.changes if isinstance(c, Announce) and c.topic == topic and c.retain]

    def settled(self) -> list[tuple[str, str]]:
        return [(c.id, c.state) for c in self.changes if isinstance(c, PictureSettled)]

    def receipts(self) -> list[tuple[str, str]]:
        return [(e.receipt.id, e.receipt.outcome) for e in self.effects if isinstance(e, SendReceipt)]

    def check(self) -> None:
        """What waits for a reading is in the pool, and nothing else is."""
        core = self.core
        pictures = core.meters.pictures
        for picture_id in pictures.unfinished:
            assert core.pool.has(picture_id), "lost"
        for item_id in [*core.waiting, *core.leases, *core.pool.aside]:
            assert pictures.knows(item_id), "left over"
