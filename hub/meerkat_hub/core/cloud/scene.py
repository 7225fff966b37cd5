"""What a tick is decided upon: the house's backlog, what is out, the fleet as it was last seen, the money."""

from __future__ import annotations

from datetime import datetime

from meerkat_cloud_burst.news import Looked
from meerkat_cloud_burst.policy.view import AloftClip, CloudView, WaitingClip, World
from meerkat_cloud_burst.ports import FleetState, QueueState
from meerkat_cloud_burst.settings import BurstSettings
from meerkat_contract.messages import CloudRule
from meerkat_hub.core.clips import CLIPS, SAMPLE_FPS, Clips, frames_of
from meerkat_hub.core.pool.outlook import Outlook, Prospect
from meerkat_hub.core.pool.pool import Pool
from meerkat_hub.core.records import Clip, Now

from .flights import Flights
from .measured import CLIP, Measured
from .money import Money
from .permission import SaidNow, rule_of

LOOKED_AT = 2000
"""Clips of the backlog that one tick looks at: those that would be served first."""

BUS_GRACE = 60.0
"""Seconds for which a broker may be away before the house counts as without workers."""


class Scene:
    """Followed by the news of the cloud; asks, and changes nothing."""

    def __init__(
        self, clips: Clips, pool: Pool, settings: BurstSettings, measured: Measured, said_now: SaidNow
    ) -> None:
        self.fleet = FleetState()
        self.queue = QueueState()
        self._clips = clips
        self._outlook = Outlook(pool, CLIPS)
        self._settings = settings
        self._measured = measured
        self._said_now = said_now
        self._ready: set[str] | None = None
        """Instances that have worked; None before the first look."""
        self._bus_down_at: float | None = None
        self._idle_since: float | None = None

    @property
    def pays(self) -> bool:
        """Whether machines are launched, which costs money."""
        return self._settings.fleet == "asg"

    @property
    def limit(self) -> int:
        """Machines at most."""
        return min(self._settings.max_instances, self.fleet.maximum)

    @property
    def running(self) -> int:
        """Machines that start or run."""
        return sum(one.state != "ending" for one in self.fleet.instances)

    def rule(self, clip: Clip) -> CloudRule:
        return rule_of(clip, self._settings, self._said_now(clip.device, clip.camera))

    def worked(self, instance: str) -> None:
        """Its boot is over."""
        self._ready = (self._ready or set()) | {instance}
        self._idle_since = None

    def looked(self, news: Looked, now: Now) -> None:
        self.fleet, self.queue = news.fleet, news.queue
        if self._ready is None:  # what was heard of those that run, an earlier run of the hub heard
            long_ago = [one for one in self.fleet.instances if _age(one.since, now) > self._measured.boot]
            self._ready = {one.id for one in long_ago}
        self._ready &= {instance.id for instance in self.fleet.instances}
        self._outlook.learn()

    def idle(self, now: Now) -> float:
        """Seconds for which machines have been seen with nothing to do; to be asked at each look."""
        # Orders that were taken back may wait in the queue: a machine at work would drop them.
        if not self.running or self._clips.aloft or self.queue.taken:
            self._idle_since = None
        elif self._idle_since is None:
            self._idle_since = now.mono
        return 0.0 if self._idle_since is None else now.mono - self._idle_since

    def bus_changed(self, up: bool, now: Now) -> None:
        self._bus_down_at = None if up else now.mono

    def world(self, flights: Flights, money: Money, now: Now, *, trouble: str, enabled: bool) -> World:
        """All that the policy may know, as of now."""
        reachable = self._bus_down_at is None or now.mono - self._bus_down_at < BUS_GRACE
        prospect = self._outlook.look(now.mono, LOOKED_AT, reachable=reachable)
        return World(
            waiting=tuple(self._waiting(prospect, flights, now)),
            aloft=tuple(self._aloft(flights, now)),
            cloud=self._cloud_view(now),
            money=money.view(now),
            idle_at_home=prospect.idle and not prospect.items,
            home_seconds=prospect.unit * CLIP * SAMPLE_FPS,
            trouble=trouble,
            enabled=enabled,
            fresh_instances=self.pays,
        )

    def _waiting(self, prospect: Prospect, flights: Flights, now: Now) -> list[WaitingClip]:
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
                    rule=self.rule(clip),
                    attempts=flights.returns(clip.id),
                )
            )
        return waiting

    def _aloft(self, flights: Flights, now: Now) -> list[AloftClip]:
        return [
            AloftClip(
                flight.id,
                age=now.mono - self._clips.since[flight.id],
                sent=_age(flight.at, now),
                taken=place < self.queue.taken,
                rule=self.rule(self._clips.unfinished[flight.id]),
            )
            for place, flight in enumerate(flights.aloft)
        ]

    def _cloud_view(self, now: Now) -> CloudView:
        running = [one for one in self.fleet.instances if one.state != "ending"]
        return CloudView(
            desired=self.fleet.desired,
            maximum=self.limit,
            ages=tuple(_age(one.since, now) for one in running),
            ready=len((self._ready or set()) & {one.id for one in running}),
            boot=self._measured.boot,
            clip_seconds=self._measured.clip_seconds,
            upload_rate=self._measured.upload_rate,
            queued=self.queue.waiting + self.queue.taken,
        )


def _age(since: datetime, now: Now) -> float:
    """Seconds; none below zero, should the clock have been set back."""
    return max((now.wall - since).total_seconds(), 0.0)
