"""The storm of `meerkat up --burst-demo`: many clips at once, and in words what becomes of them.

It waits for the porch's first clip and for a worker, and sends that clip again as though a whole street
had seen it, so often that the house alone would need a minute and more. From then on it tells how the
backlog rises, goes out, and how the rented machines end, until Ctrl-C.
"""

from __future__ import annotations

import logging
import math
import queue
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import click

from meerkat_contract.connection import find_connection
from meerkat_contract.errors import MeerkatError
from meerkat_contract.ids import new_id
from meerkat_contract.messages import BurstState, HubState, Outcome, WorkerState, read
from meerkat_contract.metadata import Metadata
from meerkat_contract.session import Incoming, Session
from meerkat_contract.topics import ANY, CameraTopic, HubTopic, ThingTopic, WorkerTopic, parse

from . import lifeline, logs
from .burst_demo import DEVICE

log = logging.getLogger("meerkat.storm")

STREET = "street"
CAMERAS = ("north", "south", "crossing")
FEWEST, MOST = 30, 150
"""Clips of a storm."""
HOUSE_SECONDS = 75.0
"""So long the house alone is to need for them at least."""
SAMPLED = 5.0
"""Frames of a second of clip that are looked at (Job.sample_fps)."""
CONNECT_SECONDS = 30.0
PAUSE_SECONDS = 4.0
"""Between two lines that tell of figures alone."""


@dataclass(slots=True)
class Storm:
    """What is known of it; `hear` takes a message of the bus, and says in words what is new."""

    hub: bool = False
    """It listens."""
    clip: Incoming | None = None
    house: float = 0.0
    """Frames per second of the house's fastest worker."""
    sent: dict[str, float] = field(default_factory=dict)
    """Clip and time.monotonic() at which it went."""
    ended: dict[str, Outcome] = field(default_factory=dict)
    state: HubState = field(default_factory=HubState)
    most_out: int = 0
    over: bool = False
    _told: tuple[object, ...] = ()
    _told_at: float = 0.0
    _state: str = ""

    @property
    def ready(self) -> bool:
        return self.hub and self.clip is not None and self.house > 0

    def size(self) -> int:
        """How many clips make a storm for this house."""
        assert self.clip is not None
        return max(FEWEST, min(MOST, math.ceil(HOUSE_SECONDS / self.seconds_each())))

    def seconds_each(self) -> float:
        """What the house's worker needs for one of them."""
        assert self.clip is not None
        return (self.clip.metadata().duration or 5.0) * SAMPLED / self.house

    def note_state(self, state: HubState, now: float) -> str:
        """The line of it: where something turns, and else of figures that changed, every few seconds."""
        self.state = state
        burst = state.burst or BurstState()
        self.most_out = max(self.most_out, burst.in_cloud)
        turn = (burst.state, burst.instances, burst.trouble)
        shown = (state.backlog, burst.in_cloud, len(self.ended), *turn)
        if not self.sent or shown == self._told:
            return ""
        if turn == self._told[-len(turn) :] and now - self._told_at < PAUSE_SECONDS:
            return ""
        words = (
            f"{state.backlog:3d} wait at home, {burst.in_cloud:2d} in the cloud, {len(self.ended):2d} done; "
            f"machines: {burst.instances}; ${burst.spent_today:.3f} spent, ${burst.reserved:.3f} set apart"
        )
        if burst.state != self._state:
            words += f" | {burst.state}: {burst.trouble or burst.reason}"
        self._told, self._told_at, self._state = shown, now, burst.state
        return words

    def verdict(self, now: float) -> str:
        """The last words, once all is done and no machine runs any more; else nothing."""
        burst = self.state.burst
        if self.over or not self.sent or len(self.ended) < len(self.sent) or burst is None:
            return ""
        if burst.instances or burst.in_cloud:
            return ""
        self.over = True
        done = sum(outcome.state == "done" for outcome in self.ended.values())
        took = now - min(self.sent.values())
        alone = len(self.sent) * self.seconds_each()
        return (
            f"It is over after {took:.0f} s: {done} of {len(self.sent)} clips were looked at, up to "
            f"{self.most_out} at a time in the cloud; the house alone would have needed about {alone:.0f} s. "
            f"No machine runs any more; on AWS it would have cost ${burst.spent_today:.3f} of the day's "
            f"${burst.ceiling_day:.2f}. Ctrl-C ends everything"
        )


class Show:
    """The storm on a broker: `run()` never returns by itself."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._storm = Storm()
        self._heard: queue.SimpleQueue[Incoming] = queue.SimpleQueue()
        heard = (
            HubTopic("availability"),
            HubTopic("state"),
            WorkerTopic(ANY, "state"),
            CameraTopic(STREET, ANY, "outcome"),
        )
        for topic in heard:
            session.subscribe(topic, self._heard.put)
        session.subscribe(ThingTopic(DEVICE, ANY, "clip"), self._heard.put, join_parts=True)

    def run(self) -> None:
        log.info("When the porch's first clip is there, a whole street will send one like it")
        while True:
            self._hear(self._heard.get())
            if self._storm.ready and not self._storm.sent:
                self._begin()
            if words := self._storm.verdict(time.monotonic()):
                log.info("%s", words)

    def _hear(self, message: Incoming) -> None:
        storm = self._storm
        match parse(message.topic):
            case HubTopic(kind="availability"):
                storm.hub = message.payload == b"online"
            case HubTopic():
                state = read(HubState, message.payload, topic=message.topic)
                if words := storm.note_state(state, time.monotonic()):
                    log.info("%s", words)
            case WorkerTopic() if message.payload:
                worker = read(WorkerState, message.payload, topic=message.topic)
                speeds = [task.frames_per_second for task in worker.tasks if task.task == "detect_objects"]
                if worker.online and speeds:
                    storm.house = max(storm.house, *speeds)
            case CameraTopic():
                outcome = read(Outcome, message.payload, topic=message.topic)
                if outcome.id in storm.sent:
                    storm.ended[outcome.id] = outcome
            case ThingTopic() if storm.clip is None:
                storm.clip = message

    def _begin(self) -> None:
        storm = self._storm
        assert storm.clip is not None
        count = storm.size()
        log.info(
            "The storm: %d clips at once. The house's worker needs about %.1f s for each",
            count,
            storm.seconds_each(),
        )
        first = storm.clip.metadata()
        for number in range(count):
            metadata = Metadata(
                id=new_id(),
                captured_at=datetime.now(UTC),
                trigger="submit",  # no device of this name needs to have introduced itself
                content_type=storm.clip.content_type or "video/mp4",
                duration=first.duration,
                recording=new_id(),
                last=True,
            )
            camera = CAMERAS[number % len(CAMERAS)]
            storm.sent[metadata.id] = time.monotonic()
            self._session.publish(
                ThingTopic(STREET, camera, "clip"), storm.clip.payload, qos=1, metadata=metadata
            )


@click.command()
@click.option("--data", type=click.Path(path_type=Path), help="The folder of `meerkat up`.")
def storm(*, data: Path | None) -> None:
    """Send many clips at once, and tell what becomes of them."""
    session = Session(find_connection("client", run=data), client_id=f"storm-{new_id()}")
    show = Show(session)
    session.start()
    try:
        session.wait_connected(CONNECT_SECONDS)
        show.run()
    finally:
        session.stop(timeout=1)


def main() -> None:
    lifeline.hold()
    logs.set_up("storm")
    try:
        storm.main(standalone_mode=False)
    except MeerkatError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_status)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)


if __name__ == "__main__":
    main()
