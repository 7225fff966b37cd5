"""A doorbell beside a flood of clips, over a real broker, the production hub and worker processes.

Both come as clips of one frame, at random. The hub marks those of the doorbell urgent; a worker that has
jobs in advance does them first. The flood is `FLOOD` times what the workers can do.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random

from meerkat_contract.ids import new_id
from meerkat_contract.messages import CameraInfo, DeviceInfo, HubState, Result, read
from meerkat_contract.metadata import Metadata, Trigger
from meerkat_contract.session import Incoming, Session
from meerkat_contract.topics import ANY, DeviceTopic, HubTopic, ThingTopic, WorkerTopic

from .dispatch_carriers import one_frame_clip
from .dispatch_site import DEVICE, Site, SiteError, open_site

CAMERA = "front"
SIZE = 5_000
"""Bytes of a clip: what is measured is who waits for whom, not the broker."""
FLOOD = 1.5
"""Of what the workers can do."""
SETTLE = 3.0
"""Seconds that do not count yet, alone and beside the flood."""
PATIENCE = 20.0
WINDOW = 16


@dataclass(frozen=True, slots=True)
class Waits:
    """Seconds from a doorbell clip's publish to its answer."""

    alone: tuple[float, ...]
    beside: tuple[float, ...]


def run(
    capacities: Sequence[float],
    seconds: float,
    *,
    part: float = 0.05,
    round_trip: float = 0.0,
    settle: float = SETTLE,
) -> Waits:
    """So many seconds alone, then as many beside the flood; `part` of the capacity is the doorbell's.

    `round_trip` seconds are injected between broker and workers. Raises SiteError or BrokerError when
    something does not come up, or a doorbell clip stays unanswered.
    """
    total = sum(capacities)
    with open_site() as site, ExitStack() as stack:
        site.start_hub({})
        for number, capacity in enumerate(capacities, 1):
            site.start_worker(
                f"flo-{number}", capacity, ["detect_objects"], window=WINDOW, round_trip=round_trip
            )
        porch = _Porch(site, stack, workers=len(capacities))
        porch.ring(settle, part * total)  # code loads, speeds and round trips are learned
        alone = porch.ring(seconds, part * total)
        porch.ring(settle, part * total, FLOOD * total)
        return Waits(alone, porch.ring(seconds, part * total, FLOOD * total))


class _Porch:
    """The device with the doorbell, and a client that sees each answer."""

    def __init__(self, site: Site, stack: ExitStack, *, workers: int) -> None:
        self._site = site
        self._chance = Random(1)
        self._clip = one_frame_clip(SIZE)
        self._changed = threading.Condition()
        self._answered: dict[str, float] = {}
        self._workers = 0
        quiet = logging.getLogger("meerkat.bench.sessions")
        quiet.setLevel(logging.ERROR)  # what goes wrong here is raised, with more to it
        client = Session(site.connection("client"), client_id="bench", log=quiet)
        client.subscribe(WorkerTopic(ANY, "results"), self._result)
        client.subscribe(HubTopic("state"), self._state)
        self._device = Session(site.connection(f"device-{DEVICE}"), client_id=f"device-{DEVICE}", log=quiet)
        info = DeviceInfo(device=DEVICE, cameras=(CameraInfo(name=CAMERA),))
        self._device.keep(DeviceTopic(DEVICE, "info"), info.to_json())
        for session in (client, self._device):
            session.start()
            stack.callback(session.stop, timeout=1)
            session.wait_connected(PATIENCE)
        client.wait_subscribed(PATIENCE)
        with self._changed:
            if not self._changed.wait_for(lambda: self._workers >= workers, PATIENCE):
                raise SiteError("the hub does not see all workers", where="bench", remedy=site.hub.tail())

    def ring(self, seconds: float, rate: float, flood: float = 0.0) -> tuple[float, ...]:
        """Clips of the doorbell at random, so many a second, and motion beside them; how long each waited."""
        rung: dict[str, float] = {}
        begin = at = time.monotonic()
        while (at := at + self._chance.expovariate(rate + flood)) < begin + seconds:
            bell = self._chance.random() * (rate + flood) < rate
            if (left := at - time.monotonic()) > 0:
                time.sleep(left)
            sent = time.monotonic()
            clip = self._publish("doorbell" if bell else "motion")
            if bell:
                rung[clip] = sent
        with self._changed:
            if not self._changed.wait_for(lambda: rung.keys() <= self._answered.keys(), PATIENCE):
                self._site.check()
                missing = len(rung.keys() - self._answered.keys())
                raise SiteError(f"{missing} clips of the doorbell are not answered", where="bench")
            return tuple(self._answered[clip] - sent for clip, sent in rung.items())

    def _publish(self, trigger: Trigger) -> str:
        metadata = Metadata(
            id=new_id(),
            captured_at=datetime.now(UTC),
            content_type="video/mp4",
            duration=0.2,
            last=True,
            trigger=trigger,
        )
        self._device.publish(ThingTopic(DEVICE, CAMERA, "clip"), self._clip, qos=1, metadata=metadata)
        return metadata.id

    def _result(self, message: Incoming) -> None:
        at = time.monotonic()
        result = read(Result, message.payload, topic=message.topic)
        with self._changed:
            self._answered.setdefault(result.job, at)
            self._changed.notify_all()

    def _state(self, message: Incoming) -> None:
        state = read(HubState, message.payload, topic=message.topic)
        with self._changed:
            self._workers = state.workers
            self._changed.notify_all()
