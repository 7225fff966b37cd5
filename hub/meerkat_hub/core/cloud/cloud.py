"""The cloud burst in the hub's core: what the cloud tells comes in, what is asked of it goes out.

    Looked ──► world ──► policy ──► changes (clips aloft, ledger) ──commit──► effects (send, scale, …)

The clips' way is `flights`, the money `money`, the decision the policy's. Here the world of each tick is
put together and what was decided is carried out, under limits of its own: never a clip of a camera that
says never, never more machines than configured, never a machine that is not paid for in the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from meerkat_cloud_burst.news import (
    Booted,
    BurstAsked,
    CloudAnswered,
    CloudDead,
    CloudNews,
    EndInstances,
    Looked,
    NotSent,
    Reached,
    Scale,
    Sent,
    TakeBack,
    TakenBack,
    Trouble,
)
from meerkat_cloud_burst.policy.view import (
    AloftClip,
    BurstDecision,
    CloudView,
    Policy,
    WaitingClip,
    World,
)
from meerkat_cloud_burst.ports import FleetState, QueueState
from meerkat_cloud_burst.settings import BurstSettings
from meerkat_contract.messages import BurstState, CloudRule
from meerkat_hub.core.clips import CLIPS, SAMPLE_FPS, Clips, frames_of
from meerkat_hub.core.cloud_records import (
    Aloft,
    BurstFact,
    BurstView,
    Decided,
    Sample,
    StoredBurst,
)
from meerkat_hub.core.outputs import Decision
from meerkat_hub.core.pool.outlook import Outlook, Prospect
from meerkat_hub.core.pool.pool import Pool
from meerkat_hub.core.records import Clip, Now

from .flights import MAX_RETURNS, Flights
from .history import History
from .measured import CLIP, Measured
from .minutes import Minutes
from .money import Money
from .permission import SaidNow, nothing_said, rule_of
from .planned import planned

LOOKED_AT = 2000
"""Clips of the backlog that one tick looks at: those that would be served first."""

BUS_GRACE = 60.0
"""Seconds for which a broker may be away before the house counts as without workers."""

ASKED_AGAIN = 60.0
"""Seconds after which an order is asked back again, and a machine told again to end."""

IN_TIME = 0.8
"""No more goes out than should be answered within this part of the timeout."""

LAUNCH_PAUSE = 900.0
"""Seconds without a further launch after one failed: a quota or a shortage is not over in a minute."""

ON = "on"
"""The fact that somebody switched it: 1 or 0."""


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
        self._policy = policy
        self._clips = clips
        self._pool = pool
        self._outlook = Outlook(pool, CLIPS)
        self._said_now = said_now
        self._fleet = FleetState()
        self._queue = QueueState()
        self._launching = ""
        """Why no machine came that was asked for."""
        self._launch_again = 0.0
        """When another may be asked for, in monotonic seconds."""
        self._ready: set[str] = set()
        """Instances that have worked."""
        self._asked_back: dict[str, float] = {}
        """When an order was asked back, by clip."""
        self._ended: dict[str, float] = {}
        """When a machine was last told to end."""
        self._bus_down_at: float | None = None
        self._minutes = Minutes()
        self._history = History()

    def load(self, stored: StoredBurst, now: Now, out: Decision) -> None:
        """Take over what the database holds, once the clips are there."""
        facts = stored.facts or {}
        self.on = bool(facts.get(ON, 1))
        self.measured.load(facts)
        self.money.load(stored.ledger, now)
        self.flights.load(stored.flights, now, out)

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
                self._ready.add(worker)
                out.changes += self.measured.booted(seconds)
            case Trouble(reason=reason):
                self._troubled(reason, now, out)
            case Reached():
                self._troubled("", now, out)
            case BurstAsked():
                self._switched(news, now, out)

    def bus_changed(self, up: bool, now: Now) -> None:
        self._bus_down_at = None if up else now.mono

    def pass_time(self, now: Now, out: Decision) -> None:
        self.flights.pass_time(now, out)

    def wake_at(self) -> float | None:
        return self.flights.wake_at()

    # --- news -----------------------------------------------------------------------------------

    def _answered(self, news: CloudAnswered, now: Now, out: Decision) -> None:
        clip = self._clips.unfinished.get(news.result.job)
        self._ready.add(news.worker)
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
        self.on = asked.what == "on"
        out.changes.append(BurstFact(ON, int(self.on)))
        if asked.what == "stop":
            ends = "every machine ends now, and " if self._pays else ""
            reason = f"stopped{by}: {ends}clips that are out are done at home"
            self.flights.all_home("the cloud burst was stopped", now, out)
            out.effects.append(Scale(0, reason))
            self._end([instance.id for instance in self._fleet.instances], reason, now, out)
            self._note(BurstDecision(code="stop", reason=reason), now, out)
        elif asked.what == "off":
            reason = f"switched off{by}: nothing new goes out, what a machine has begun is finished"
            self._note(BurstDecision(code="off", reason=reason), now, out)
        else:
            self._note(BurstDecision(code="idle", reason=f"switched on{by}"), now, out)

    # --- a tick ---------------------------------------------------------------------------------

    def _looked(self, news: Looked, now: Now, out: Decision) -> None:
        self._fleet, self._queue = news.fleet, news.queue
        there = {instance.id for instance in news.fleet.instances}
        self._ready &= there
        self.flights.forget_ended(out)
        self._see_launches(now, out)
        money = self.money.look(news.fleet, now)
        out.changes += money.changes
        self._end([orphan.id for orphan in news.fleet.orphans], "no group counts it", now, out)
        self._outlook.learn()
        self._apply(self._policy.decide(self.world(now)), now, out)
        self._end(money.end, money.reason, now, out)
        if money.desired is not None and self._pays:  # after the policy, whatever that wants
            out.effects = [effect for effect in out.effects if not isinstance(effect, Scale)]
            fewer = min(money.desired, self._fleet.desired, self._limit)
            out.effects.append(Scale(fewer, money.reason))
        self._remember(now)

    def _see_launches(self, now: Now, out: Decision) -> None:
        """Where no machine comes, the house goes on alone for a while."""
        failed = self._fleet.trouble
        if failed is not None and not self._fleet.instances:
            self._launching = f"no machine is launched: {failed}"
            self._launch_again = now.mono + LAUNCH_PAUSE
            self.flights.all_home("no machine comes in the cloud", now, out)
            out.effects.append(Scale(0, self._launching))
        elif now.mono >= self._launch_again:
            self._launching = ""

    def world(self, now: Now) -> World:
        """All that the policy may know, as of now."""
        reachable = self._bus_down_at is None or now.mono - self._bus_down_at < BUS_GRACE
        prospect = self._outlook.look(now.mono, LOOKED_AT, reachable=reachable)
        return World(
            waiting=tuple(self._waiting(prospect, now)),
            aloft=tuple(self._aloft(now)),
            cloud=self._cloud_view(now),
            money=self.money.view(now),
            idle_at_home=prospect.idle and not prospect.items,
            home_seconds=prospect.unit * CLIP * SAMPLE_FPS,
            trouble=self.trouble or self._launching,
            enabled=self.on,
            fresh_instances=self._pays,
        )

    def _waiting(self, prospect: Prospect, now: Now) -> list[WaitingClip]:
        waiting = []
        for expected in prospect.items:
            clip = self._clips.unfinished[expected.item.id]
            waiting.append(
                WaitingClip(
                    id=clip.id,
                    age=now.mono - self._clips.since[clip.id],
                    done_in=expected.done_in,
                    size=clip.size,
                    seconds=frames_of(clip) / SAMPLE_FPS,
                    rule=self._rule(clip),
                    attempts=self.flights.returns(clip.id),
                )
            )
        return waiting

    def _aloft(self, now: Now) -> list[AloftClip]:
        return [
            AloftClip(
                flight.id,
                age=now.mono - self._clips.since[flight.id],
                sent=max((now.wall - flight.at).total_seconds(), 0.0),
                taken=place < self._queue.taken,
                rule=self._rule(self._clips.unfinished[flight.id]),
            )
            for place, flight in enumerate(self.flights.aloft)
        ]

    def _cloud_view(self, now: Now) -> CloudView:
        running = [one for one in self._fleet.instances if one.state != "ending"]
        return CloudView(
            desired=self._fleet.desired,
            maximum=self._limit,
            ages=tuple(max((now.wall - one.since).total_seconds(), 0.0) for one in running),
            ready=len(self._ready & {one.id for one in running}),
            boot=self.measured.boot,
            clip_seconds=self.measured.clip_seconds,
            upload_rate=self.measured.upload_rate,
            queued=self._queue.waiting + self._queue.taken,
        )

    @property
    def _pays(self) -> bool:
        """Whether machines are launched, which costs money."""
        return self.settings.fleet == "asg"

    @property
    def _limit(self) -> int:
        """Machines at most."""
        return min(self.settings.max_instances, self._fleet.maximum)

    # --- a decision -----------------------------------------------------------------------------

    def _apply(self, decision: BurstDecision, now: Now, out: Decision) -> None:
        desired = self._scale(decision, now, out)
        going = self._going(decision.send, desired) if self.on else ()
        sent = sum(self.flights.send(clip_id, now, out) for clip_id in going)
        back = self._ask_back(decision, now, out)
        self._note(decision, now, out, sent=sent, taken_back=back, desired=desired)

    def _going(self, wanted: Sequence[str], desired: int | None) -> list[str]:
        """Which of these clips may go, with so many machines asked for."""
        machines = max(desired or 0, self._fleet.desired, len(self._fleet.instances), not self._pays)
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
        return self.flights.returns(clip.id) < MAX_RETURNS and self._rule(clip) != "never"

    def _rule(self, clip: Clip) -> CloudRule:
        return rule_of(clip, self.settings, self._said_now(clip.device, clip.camera))

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

    def _scale(self, decision: BurstDecision, now: Now, out: Decision) -> int | None:
        """Ask for so many machines, if that is something else than now and is paid for."""
        if decision.desired is None or not self._pays:
            return None
        desired = max(min(decision.desired, self._limit), 0)
        if decision.reserve is not None and desired > self._fleet.desired:
            paid = self.money.reserve(decision.reserve.instances, now, decision.reason)
            if isinstance(paid, str):
                out.notes.append(f"cloud burst: no machine is asked for: {paid}")
                return None
            out.changes += paid
        elif desired > self._fleet.desired:
            out.notes.append("cloud burst: no machine is asked for that is not paid for in the ledger")
            return None
        if desired == self._fleet.desired:
            return None
        out.effects.append(Scale(desired, decision.reason))
        return desired

    def _end(self, instances: Sequence[str], reason: str, now: Now, out: Decision) -> None:
        self._ended = {one: at for one, at in self._ended.items() if now.mono - at < ASKED_AGAIN}
        fresh = [one for one in instances if one not in self._ended]
        self._ended |= dict.fromkeys(fresh, now.mono)
        if fresh:
            out.effects.append(EndInstances(tuple(fresh), reason))
            out.notes.append(f"cloud burst: {', '.join(fresh)} to be ended: {reason}")

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
        """For the bus."""
        latest = self._minutes.latest
        return BurstState(
            on=self.on,
            state=latest.code if latest else "idle",
            reason=latest.reason if latest else "the hub has just begun and has not looked yet",
            since=latest.at if latest else None,
            in_cloud=len(self._clips.aloft),
            instances=self._running,
            desired=self._fleet.desired,
            max_instances=self.settings.max_instances,
            trouble=self.trouble or self._launching,
            **self.money.figures(now),
        )

    @property
    def _running(self) -> int:
        """Machines that start or run."""
        return sum(one.state != "ending" for one in self._fleet.instances)

    def _remember(self, now: Now) -> None:
        out_there = len(self._clips.aloft)
        at_home = len(self._clips.unfinished) - out_there
        spent = self.money.figures(now)["spent_today"]
        self._history.note(Sample(now.wall, at_home, out_there, self._running, spent))

    def view(self, now: Now) -> BurstView:
        """For the page, at length."""
        return BurstView(
            state=self.state(now),
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
