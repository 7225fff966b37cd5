"""Clips on their way through the cloud.

    at home ──send──► aloft ──answered──► ended, as after any worker's answer
       ▲                │
       └────────────────┴── not sent, no answer in time, taken back, failed, dead letter

What is aloft is saved before anything is asked of the cloud. So after a restart each clip that is out goes
on: one whose order is queued is waited for, one whose order may not be is sent again under its old token,
which the cloud takes for the same. The first good result of a clip counts, wherever the clip is by then,
and whatever comes later is dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta

from meerkat_cloud_burst.messages import HOME, Order, clip_key
from meerkat_cloud_burst.news import CloudAnswered, CloudDead, Forget, NotSent, SendOut, Sent, TakenBack
from meerkat_cloud_burst.settings import BurstSettings
from meerkat_contract.messages import Job
from meerkat_hub.core.clips import SAMPLE_FPS, TASK, Clips
from meerkat_hub.core.cloud_records import Flight, FlightSaved, FlightsEnded
from meerkat_hub.core.outputs import Decision
from meerkat_hub.core.records import Clip, Now

MAX_RETURNS = 2
"""A clip that came back so often stays at home."""

GRACE = 60.0
"""Seconds that an answer may take at least after a restart: it may lie ready since the hub ended."""

UNKNOWN_HASH = "0" * 64
"""Of an order whose media nobody has read yet: who sends it fills in the hash."""

WORKER = 63
"""Characters of a worker's name that are kept."""

BLAMELESS = ("credentials", "permission", "region", "quota", "capacity", "clock", "network", "throttled")
"""Causes for which no clip is to stay at home: they would meet any other as well."""


class Flights:
    """Every clip that is aloft, or came back and has not ended."""

    def __init__(self, clips: Clips, settings: BurstSettings, *, first_token: int) -> None:
        self.known: dict[str, Flight] = {}
        """By clip; those aloft in the order in which they went out."""
        self.dropped = 0
        """Results that came late, twice, or for nothing."""
        self._clips = clips
        self._settings = settings
        self._token = first_token
        self._until: dict[str, float] = {}
        """When each that is aloft is waited for no longer, in monotonic seconds."""
        self._next: float | None = None

    def load(
        self, flights: Iterable[Flight], may_go: Callable[[Clip], bool], now: Now, out: Decision
    ) -> None:
        """Take over what the database holds, once the clips are there. `may_go`: whether a clip's camera
        still lets it leave the house."""
        for flight in flights:
            clip = self._clips.unfinished.get(flight.id)
            if clip is None:
                continue
            self.known[flight.id] = flight
            if flight.reason:
                self._clips.cloud_said[flight.id] = flight.reason
            if flight.aloft and not may_go(clip):
                self.forbidden(flight, now, out)
            elif flight.aloft:
                age = max((now.wall - flight.at).total_seconds(), 0.0)
                self._wait_for(flight.id, now.mono + max(self._settings.timeout - age, GRACE))
                if not flight.sent:
                    out.effects.append(self._order(clip, flight))
        out.changes.append(FlightsEnded())

    @property
    def aloft(self) -> list[Flight]:
        """The first that went out first."""
        return [flight for flight in self.known.values() if flight.aloft]

    def returns(self, clip_id: str) -> int:
        flight = self.known.get(clip_id)
        return 0 if flight is None else flight.returns

    # --- out ------------------------------------------------------------------------------------

    def send(self, clip_id: str, now: Now, out: Decision) -> bool:
        """Send a clip that waits; False when it does not."""
        clip = self._clips.send_out(clip_id)
        if clip is None:
            return False
        self._token += 1
        flight = Flight(clip_id, self._token, now.wall, returns=self.returns(clip_id))
        self.known.pop(clip_id, None)
        self._save(flight, out)
        self._wait_for(clip_id, now.mono + self._settings.timeout)
        out.effects.append(self._order(clip, flight))
        return True

    def _order(self, clip: Clip, flight: Flight) -> SendOut:
        job = Job(
            job=clip.id,
            token=flight.token,
            task=TASK,
            device=HOME,
            camera=HOME,
            media=clip.id,
            content_type=clip.content_type,
            captured_at=clip.captured_at,
            lease=self._settings.timeout,
            sample_fps=SAMPLE_FPS,
        )
        order = Order(
            job=job,
            key=clip_key(clip.id, flight.token),
            size=clip.size,
            sha256=UNKNOWN_HASH,
            sent_at=flight.at,
            until=flight.at + timedelta(seconds=self._settings.timeout),
            model=self._settings.model,
            annotated=self._settings.annotated,
        )
        return SendOut(order, clip.id, clip.content_type)

    def sent(self, news: Sent, out: Decision) -> None:
        """Its order is queued."""
        flight = self._of(news.job, news.token)
        if flight is not None and not flight.sent:
            self._save(replace(flight, sent=True), out)

    # --- back without a result ------------------------------------------------------------------

    def not_sent(self, news: NotSent, now: Now, out: Decision) -> None:
        blamed = news.cause not in BLAMELESS
        self._home(news.job, news.token, f"it could not be sent out: {news.reason}", now, out, blamed=blamed)

    def taken_back(self, news: TakenBack, now: Now, out: Decision) -> None:
        self._home(news.job, news.token, "it was taken back", now, out)

    def forbidden(self, flight: Flight, now: Now, out: Decision) -> None:
        """Its camera says never by now: what lies there of it is deleted, and nobody waits for it."""
        self._home(flight.id, flight.token, "clips of this camera may not leave the house any more", now, out)

    def all_home(self, reason: str, now: Now, out: Decision) -> None:
        """Wait for none any longer."""
        for flight in self.aloft:
            self._home(flight.id, flight.token, reason, now, out)

    def dead(self, news: CloudDead, now: Now, out: Decision) -> None:
        """Nobody there could do it: a try, as one that ended at home."""
        reason = f"it ended in the cloud's dead-letter queue: {news.reason or 'no worker could do it'}"
        self._failed(news.job, news.token, reason, now, out)
        out.effects.append(Forget(news.job, news.token))

    def pass_time(self, now: Now, out: Decision) -> None:
        """Those that are waited for no longer are done at home."""
        if self._next is None or now.mono < self._next:
            return
        self.forget_ended(out)
        for clip_id in [one for one, until in self._until.items() if now.mono >= until]:
            reason = f"the cloud did not answer within {self._settings.timeout:g} s"
            self._home(clip_id, self.known[clip_id].token, reason, now, out, blamed=True)

    def wake_at(self) -> float | None:
        return self._next

    def _home(
        self, clip_id: str, token: int, reason: str, now: Now, out: Decision, *, blamed: bool = False
    ) -> None:
        """It waits in the pool again, and no try has ended. `blamed`: for a reason of its own."""
        flight = self._of(clip_id, token)
        if flight is None:
            return
        if blamed:
            self._clips.cloud_said[clip_id] = reason
        self._landed(flight, reason, blamed, out)
        clip = self._clips.unfinished[clip_id]
        out.notes.append(f"{clip.device}/{clip.camera}: clip {clip_id} is done at home: {reason}")
        self._clips.came_home(clip_id, now, out)
        out.effects.append(Forget(clip_id, token))
        self.forget_ended(out)

    def _failed(
        self, clip_id: str, token: int, reason: str, now: Now, out: Decision, *, worker: str = "cloud"
    ) -> None:
        flight = self._of(clip_id, token)
        if flight is not None:
            self._landed(flight, reason, True, out)
            self._clips.failed_aloft(clip_id, worker, reason, now, out)
            self.forget_ended(out)

    def _landed(self, flight: Flight, reason: str, blamed: bool, out: Decision) -> None:
        returns = flight.returns + blamed
        kept = reason if blamed else flight.reason
        self._save(replace(flight, aloft=False, returns=returns, reason=kept), out)
        self._wait_for(flight.id, None)

    # --- results --------------------------------------------------------------------------------

    def answered(self, news: CloudAnswered, now: Now, out: Decision) -> bool:
        """A result; whether it counts. Either way what lies of it in the cloud is no longer needed."""
        result, clip_id = news.result, news.result.job
        flight = self.known.get(clip_id)
        current = flight is not None and flight.aloft and flight.token == result.token
        counts = flight is not None and clip_id in self._clips.unfinished
        counts = counts and (current or result.state == "done")
        out.effects.append(Forget(clip_id, result.token))
        if not counts or flight is None:
            self.dropped += 1
            out.notes.append(f"cloud worker {news.worker}: a result for {clip_id} came late and is ignored")
            return False
        worker = f"cloud:{news.worker}"[:WORKER]
        if result.state == "failed" and result.retry:
            reason = result.reason or "the cloud's worker gave no reason"
            if result.frames or result.seconds:
                self._failed(clip_id, flight.token, reason, now, out, worker=worker)
            else:  # it was handed back unbegun, which is no try
                self._home(clip_id, flight.token, reason, now, out, blamed=True)
            return True
        if flight.token != result.token:
            out.effects.append(Forget(clip_id, flight.token))
        if news.annotated:
            out.notes.append(f"clip {clip_id}: its video with the boxes is at /api/clips/{clip_id}/annotated")
        self._wait_for(clip_id, None)
        self._clips.answered_aloft(clip_id, worker, result, now, out)
        if clip_id in self._clips.unfinished:  # nobody there can read it; somebody at home is to try
            self._landed(flight, result.reason, True, out)
        self.forget_ended(out)
        return True

    # --- books ----------------------------------------------------------------------------------

    def forget_ended(self, out: Decision) -> None:
        """Of clips that have ended, here or at home, nothing needs to be known."""
        ended = [clip_id for clip_id in self.known if clip_id not in self._clips.unfinished]
        for clip_id in ended:
            del self.known[clip_id]
            self._wait_for(clip_id, None)
        if ended:
            out.changes.append(FlightsEnded())

    def _of(self, clip_id: str, token: int) -> Flight | None:
        """The flight of this token, if the clip is aloft with it."""
        flight = self.known.get(clip_id)
        return flight if flight is not None and flight.aloft and flight.token == token else None

    def _save(self, flight: Flight, out: Decision) -> None:
        self.known[flight.id] = flight
        out.changes.append(FlightSaved(flight))

    def _wait_for(self, clip_id: str, until: float | None) -> None:
        if until is None:
            self._until.pop(clip_id, None)
        else:
            self._until[clip_id] = until
        self._next = min(self._until.values(), default=None)
