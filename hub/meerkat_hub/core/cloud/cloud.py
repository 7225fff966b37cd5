"""The cloud burst in the hub's core: what the cloud tells comes in, what is asked of it goes out.

    Looked ──► world ──► policy ──► changes (clips aloft, ledger) ──commit──► effects (send, scale, …)

The clips' way is `flights`, the money `money`, what is looked upon the `scene`, the decision the policy's.
Here what was decided is carried out, under limits of its own: never a clip of a camera that says never,
and, in `machines`, never more of them than configured and none that is not paid for in the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from meerkat_cloud_burst.news import (
    Booted,
    BurstAsked,
    CloudAnswered,
    CloudDead,
    CloudNews,
    Looked,
    NotSent,
    Reached,
    Sent,
    TakeBack,
    TakenBack,
    Trouble,
)
from meerkat_cloud_burst.policy.view import BurstDecision, Policy, World
from meerkat_cloud_burst.settings import BurstSettings
from meerkat_contract.messages import BurstState
from meerkat_hub.core.clips import SAMPLE_FPS, Clips, frames_of
from meerkat_hub.core.cloud_records import (
    Aloft,
    BurstFact,
    BurstView,
    Decided,
    Sample,
    StoredBurst,
)
from meerkat_hub.core.inputs import CamerasTold
from meerkat_hub.core.outputs import Decision
from meerkat_hub.core.pool.pool import Pool
from meerkat_hub.core.records import Clip, Now

from .flights import MAX_RETURNS, Flights
from .history import History
from .machines import Fewer, Machines
from .measured import CLIP, Measured
from .minutes import Minutes
from .money import Figures, Money, for_the_bus
from .permission import SaidNow, nothing_said
from .planned import planned
from .scene import Scene
from .strangers import Strangers

ASKED_AGAIN = 60.0
"""Seconds after which an order is asked back again."""

IN_TIME = 0.8
"""No more goes out than should be answered within this part of the timeout."""

ON = "on"
"""The fact that somebody switched it: 1 or 0."""

STOPPED = "stopped"
"""The fact that somebody stopped it, so that no machine may run: 1 or 0."""


class Cloud:
    """Only where the burst is configured. `happened` takes what the cloud tells."""

    def __init__(
        self,
        clips: Clips,
        pool: Pool,
        settings: BurstSettings,
        policy: Policy,
        *,
        first_token: int,
        new_id: Callable[[], str],
        said_now: SaidNow = nothing_said,
    ) -> None:
        self.settings = settings
        self.flights = Flights(clips, settings, first_token=first_token)
        self.money = Money(settings, new_id)
        self.measured = Measured(settings)
        self.on = True
        self.trouble = ""
        self._stopped = False
        self._figures: Figures | None = None
        """Of the last look: between two looks money is no news."""
        self._policy = policy
        self._clips = clips
        self._scene = Scene(clips, pool, settings, self.measured, said_now)
        self._machines = Machines(settings, self._scene, self.measured, self.money)
        self._asked_back: dict[str, float] = {}
        """When an order was asked back, by clip."""
        self._minutes = Minutes()
        self._history = History()
        self._strangers = Strangers(settings.cameras)

    def load(self, stored: StoredBurst, now: Now, out: Decision) -> None:
        """Take over what the database holds, once the clips are there."""
        facts = stored.facts or {}
        self.on = bool(facts.get(ON, 1))
        self._stopped = bool(facts.get(STOPPED, 0))
        self.measured.load(facts)
        self.money.load(stored.ledger, now)
        self.flights.load(stored.flights, lambda clip: self._scene.rule(clip) != "never", now, out)

    def happened(self, news: CloudNews, now: Now, out: Decision) -> None:
        match news:
            case Looked():
                self._looked(news, now, out)
            case Sent():
                self.flights.sent(news, out)
                out.changes += self.measured.uploaded(news.size, news.seconds)
            case NotSent():
                self.flights.not_sent(news, now, out)
            case CloudAnswered():
                self._answered(news, now, out)
            case CloudDead():
                self.flights.dead(news, now, out)
            case TakenBack():
                self.flights.taken_back(news, now, out)
            case Booted(worker=worker, seconds=seconds):
                self._scene.worked(worker)
                out.changes += self.measured.booted(seconds)
            case Trouble(reason=reason):
                self._troubled(reason, now, out)
            case Reached():
                self._troubled("", now, out)
            case BurstAsked():
                self._switched(news, now, out)

    def described(self, told: CamerasTold) -> None:
        """A device has these cameras now."""
        self._strangers.described(told)

    def bus_changed(self, up: bool, now: Now) -> None:
        self._scene.bus_changed(up, now)

    def pass_time(self, now: Now, out: Decision) -> None:
        self.flights.pass_time(now, out)
        if doubt := self._strangers.pass_time(now):
            out.notes.append(f"cloud burst: {doubt}")

    def wake_at(self) -> float | None:
        return self.flights.wake_at()

    # --- news -----------------------------------------------------------------------------------

    def _answered(self, news: CloudAnswered, now: Now, out: Decision) -> None:
        clip = self._clips.unfinished.get(news.result.job)
        self._scene.worked(news.worker)
        if self.flights.answered(news, now, out) and clip is not None and news.result.state == "done":
            media = frames_of(clip) / SAMPLE_FPS
            out.changes += self.measured.looked_at(news.result.seconds, media)

    def _troubled(self, reason: str, now: Now, out: Decision) -> None:
        if reason == self.trouble:
            return
        self.trouble = reason
        if reason:
            said = f"the cloud cannot be used, the hub goes on at home: {reason}"
            self._note(BurstDecision(code="trouble", reason=said), now, out)
        else:
            out.notes.append("cloud burst: the cloud can be used again")

    def _switched(self, asked: BurstAsked, now: Now, out: Decision) -> None:
        by = f" by {asked.by}" if asked.by else ""
        self.on, self._stopped = asked.what == "on", asked.what == "stop"
        out.changes += (BurstFact(ON, int(self.on)), BurstFact(STOPPED, int(self._stopped)))
        if asked.what == "stop":
            ends = "every machine ends now, and " if self._scene.pays else ""
            reason = f"stopped{by}: {ends}clips that are out are done at home"
            self.flights.all_home("the cloud burst was stopped", now, out)
            self._machines.stop(reason, now, out)
            self._note(BurstDecision(code="stop", reason=reason), now, out)
        elif asked.what == "off":
            reason = f"switched off{by}: nothing new goes out, what a machine has begun is finished"
            self._note(BurstDecision(code="off", reason=reason), now, out)
        else:
            self._note(BurstDecision(code="idle", reason=f"switched on{by}"), now, out)

    # --- a tick ---------------------------------------------------------------------------------

    def _looked(self, news: Looked, now: Now, out: Decision) -> None:
        machines = self._machines
        self._scene.looked(news, now)
        self.flights.forget_ended(out)
        self._call_home(now, out)
        fewer = [machines.see_launches(now), machines.see_stop(now, out) if self._stopped else None]
        if fewer[0] is not None:
            self.flights.all_home("no machine comes in the cloud", now, out)
        money = self.money.look(news.fleet, now)
        out.changes += money.changes
        machines.end([orphan.id for orphan in news.fleet.orphans], "no group counts it", now, out)
        self._apply(self._policy.decide(self.world(now)), now, out)
        machines.end(money.end, money.reason, now, out)
        if money.desired is not None:
            fewer.append(Fewer(min(money.desired, news.fleet.desired, self._scene.limit), money.reason))
        machines.shrink([*fewer, machines.see_idle(now, out)], out)
        self._remember(now)

    def _call_home(self, now: Now, out: Decision) -> None:
        """What is out of a camera that says never by now."""
        for flight in self.flights.aloft:
            clip = self._clips.unfinished.get(flight.id)
            if clip is not None and self._scene.rule(clip) == "never":
                self.flights.forbidden(flight, now, out)

    def world(self, now: Now) -> World:
        """All that the policy may know, as of now."""
        trouble = self.trouble or self._machines.launching
        return self._scene.world(self.flights, self.money, now, trouble=trouble, enabled=self.on)

    # --- a decision -----------------------------------------------------------------------------

    def _apply(self, decision: BurstDecision, now: Now, out: Decision) -> None:
        desired = self._machines.scale(decision, now, out)
        going = self._going(decision.send, desired) if self.on else ()
        sent = sum(self.flights.send(clip_id, now, out) for clip_id in going)
        back = self._ask_back(decision, now, out)
        self._note(decision, now, out, sent=sent, taken_back=back, desired=desired)

    def _going(self, wanted: Sequence[str], desired: int | None) -> list[str]:
        """Which of these clips may go, with so many machines asked for."""
        fleet = self._scene.fleet
        machines = max(desired or 0, fleet.desired, len(fleet.instances), not self._scene.pays)
        room = self._room(machines) if machines else 0.0
        going: list[str] = []
        for clip_id in wanted:
            clip = self._clips.unfinished.get(clip_id)
            if clip is None or not self._may_go(clip):
                continue
            room -= frames_of(clip) / SAMPLE_FPS
            if room < 0:
                break
            going.append(clip_id)
        return going

    def _room(self, machines: int) -> float:
        """Seconds of media that may go out besides what is aloft: what would not be answered in time would
        only come back."""
        in_time = max(IN_TIME * self.settings.timeout - self.measured.boot, self.measured.clip_seconds)
        aloft = sum(frames_of(self._clips.unfinished[one]) for one in self._clips.aloft) / SAMPLE_FPS
        return machines * in_time / self.measured.clip_seconds * CLIP - aloft

    def _may_go(self, clip: Clip) -> bool:
        """Whether its camera lets it, whatever the policy says."""
        return self.flights.returns(clip.id) < MAX_RETURNS and self._scene.rule(clip) != "never"

    def _ask_back(self, decision: BurstDecision, now: Now, out: Decision) -> int:
        jobs = []
        self._asked_back = {one: at for one, at in self._asked_back.items() if now.mono - at < ASKED_AGAIN}
        for clip_id in decision.take_back:
            flight = self.flights.known.get(clip_id)
            if flight is not None and flight.aloft and clip_id not in self._asked_back:
                self._asked_back[clip_id] = now.mono
                jobs.append((clip_id, flight.token))
        if jobs:
            out.effects.append(TakeBack(tuple(jobs)))
        return len(jobs)

    def _note(
        self,
        decision: BurstDecision,
        now: Now,
        out: Decision,
        *,
        sent: int = 0,
        taken_back: int = 0,
        desired: int | None = None,
    ) -> None:
        """Keep it for people; into the log when it is another one, or something is done."""
        made = Decided(now.wall, decision.code, decision.reason, sent, taken_back, desired)
        if said := self._minutes.note(made):
            out.notes.append(said)

    # --- what it says of itself -----------------------------------------------------------------

    def state(self, now: Now) -> BurstState:
        """For the bus: it is said anew only where people would see a difference."""
        latest = self._minutes.latest
        if self._figures is None:
            self._figures = for_the_bus(self.money.figures(now))
        return BurstState(
            on=self.on,
            state=latest.code if latest else "idle",
            reason=latest.reason if latest else "the hub has just begun and has not looked yet",
            since=latest.at if latest else None,
            in_cloud=len(self._clips.aloft),
            instances=self._scene.running,
            desired=self._scene.fleet.desired,
            max_instances=self.settings.max_instances,
            trouble=self.trouble or self._machines.launching,
            doubt=self._strangers.doubt,
            **self._figures,
        )

    def _remember(self, now: Now) -> None:
        out_there = len(self._clips.aloft)
        at_home = len(self._clips.unfinished) - out_there
        figures = self.money.figures(now)
        self._figures = for_the_bus(figures)
        self._history.note(Sample(now.wall, at_home, out_there, self._scene.running, figures["spent_today"]))

    def view(self, now: Now) -> BurstView:
        """For the page, at length."""
        return BurstView(
            state=self.state(now).model_copy(update=dict(self.money.figures(now))),
            policy=self.settings.policy.kind,
            rules=dict(self.settings.cameras),
            default=self.settings.default,
            aloft=tuple(
                Aloft(clip.id, clip.device, clip.camera, flight.at, flight.returns)
                for flight in self.flights.aloft
                if (clip := self._clips.unfinished.get(flight.id)) is not None
            ),
            decisions=self._minutes.all,
            dropped=self.flights.dropped,
            boot=self.measured.boot,
            clip_seconds=self.measured.clip_seconds,
            upload_rate=self.measured.upload_rate,
            plan=planned(self.settings, self.world(now), self._clips.unfinished, self._going),
            fleet=self.settings.fleet,
            history=self._history.all,
        )
