"""A hub that is built and not started, filled through its store, and served on a free port."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.routing import Mount

from meerkat_contract.connection import Connection
from meerkat_contract.device_messages import PictureCondition
from meerkat_contract.ids import new_id
from meerkat_contract.messages import EventState, ModelInfo, Track, WorkerState
from meerkat_hub.adapters.desk import Desk
from meerkat_hub.application import Hub, _Residents, build_hub
from meerkat_hub.core.cloud_records import BurstQuestion, BurstView, ShowBurst
from meerkat_hub.core.meter_records import (
    MeterAsked,
    MeterInput,
    MetersAsked,
    MeterView,
    SeenArrived,
    ShowMeters,
)
from meerkat_hub.core.outputs import (
    Change,
    ClipJoined,
    ClipSettled,
    ClipStored,
    EventSaved,
    PictureStored,
    RefusalNoted,
)
from meerkat_hub.core.records import Clip, EventRecord, MeterPicture, Now, Refusal
from meerkat_hub.core.workflow_records import AnswerRequest, Policy, ShowWorkflows, WorkflowInput
from meerkat_hub.core.workflows.workflows import Workflows
from meerkat_hub.settings import HubSettings
from meerkat_hub.web.server import HubServer, listen
from support.wait import wait_for

NOW = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
JPEG = b"\xff\xd8 a picture \xff\xd9"
MODEL = ModelInfo(name="ssd", engine="litert")


class WebHouse:
    """What a hub would have stored, without a broker."""

    def __init__(self, folder: Path, settings: HubSettings | None = None) -> None:
        self.settings = settings or HubSettings()
        # Nothing connects there: the hub is never started.
        self.hub: Hub = build_hub(folder, Connection("127.0.0.1", 1), self.settings)
        self.workflows = Workflows(
            new_id=new_id, recogniser=_Residents(self.hub.people), policy=Policy(gather=0, reserve=0)
        )
        self.meters: tuple[MeterView, ...] = ()
        """How meters stand; nobody reads here."""
        self.burst: BurstView | None = None
        """How the cloud burst stands, where one is set up."""
        self.hub.desk = self.desk = Desk(self._ask)

    def _ask(self, asked: WorkflowInput | MeterInput | BurstQuestion) -> None:
        """The core's answer at once: the hub's thread does not run here."""
        if isinstance(asked, BurstQuestion):
            self.desk.answered(ShowBurst(asked.ticket, self.burst))
            return
        if isinstance(asked, MetersAsked):
            views = tuple(one for one in self.meters if asked.only in (None, (one.device, one.meter)))
            self.desk.answered(ShowMeters(asked.ticket, views, readers=1))
            return
        assert not isinstance(asked, MeterAsked | SeenArrived), "only a hub that runs does that"
        outcome = self.workflows.happened(asked, Now(NOW, 0.0))
        self.commit(*outcome.changes)
        for effect in outcome.effects:
            if isinstance(effect, AnswerRequest | ShowWorkflows):
                self.desk.answered(effect)

    def node(self, state: WorkerState) -> None:
        """A worker that the page and the orchestrator hear of."""
        self.hub.live.workers[state.worker] = state
        self.workflows.worker_seen(state, Now(NOW, 0.0))

    def commit(self, *changes: Change, pictures: dict[str, str] | None = None) -> None:
        self.hub.store.commit(changes, announced=[], now=NOW, pictures=pictures or {})

    def file(self, kind: str, name: str, suffix: str, payload: bytes) -> None:
        media = self.hub.media
        media.place(media.receive(payload), media.path(kind, name, suffix))

    def clip(
        self,
        *,
        at: datetime = NOW,
        payload: bytes = b"0123456789",
        state: str = "done",
        device: str = "porch",
        camera: str = "front",
        tracks: tuple[Track, ...] = (),
        reason: str = "",
        worker: str = "cpu",
    ) -> str:
        clip_id = new_id()
        self.file("clips", clip_id, ".mp4", payload)
        clip = Clip(clip_id, device, camera, at, at, recording=clip_id, duration=5.0, size=len(payload))
        self.commit(ClipStored(clip))
        if state != "waiting":
            settled = ClipSettled(
                clip_id,
                state,
                reason=reason,
                model=MODEL,
                frames=25,
                seconds=0.5,
                tracks=tracks,
                worker=worker,
            )
            self.commit(settled, ClipJoined(clip_id))
        return clip_id

    def event(
        self,
        *clips: str,
        at: datetime = NOW,
        label: str = "person",
        category: str = "person",
        device: str = "porch",
        camera: str = "front",
        revision: int = 1,
        event_id: str | None = None,
        picture: bytes | None = JPEG,
        ended: bool = True,
        zones: tuple[str, ...] = (),
    ) -> str:
        event_id = event_id or new_id()
        clips = clips or (self.clip(at=at, device=device, camera=camera),)
        state = EventState(
            id=event_id,
            device=device,
            camera=camera,
            label=label,
            category=category,
            score=0.9,
            box=(0.1, 0.1, 0.2, 0.4),
            zones=zones,
            start_time=at,
            end_time=at + timedelta(seconds=4),
            picture_time=at + timedelta(seconds=1),
            revision=revision,
            clips=clips,
            recording=clips[0],
            has_picture=picture is not None,
            model=MODEL,
        )
        names = {}
        if picture is not None:
            names[event_id] = f"{event_id}-{revision}"
            self.file("events", names[event_id], ".jpg", picture)
        self.commit(EventSaved(EventRecord(state, ((clips[0], 0),), ended)), pictures=names)
        return event_id

    def meter_picture(
        self,
        *,
        at: datetime = NOW,
        meter: str = "water",
        payload: bytes = JPEG,
        condition: PictureCondition | None = None,
    ) -> str:
        picture_id = new_id()
        self.file("pictures", picture_id, ".jpg", payload)
        picture = MeterPicture(picture_id, "basement", meter, at, at, len(payload), condition=condition)
        self.commit(PictureStored(picture))
        return picture_id

    def refusal(self, reason: str) -> None:
        topic = "meerkat/device/porch/front/clip"
        self.commit(RefusalNoted(Refusal(topic, reason, NOW, device="porch")))

    @contextmanager
    def served(self, *, prefix: str = "") -> Iterator[Served]:
        """Serve it on a free loopback port, with everything that a browser would meet.

        `prefix` is a path under which it is mounted, as a proxy would.
        """
        with serving(self.hub, self.settings, prefix=prefix) as served:
            yield served

    def close(self) -> None:
        self.hub.engine.dispose()


@contextmanager
def serving(hub: Hub, settings: HubSettings, *, prefix: str = "") -> Iterator[Served]:
    """A hub's API and page on a free loopback port, whether the hub runs or not."""
    with listen("127.0.0.1", 0) as listener:
        server = HubServer(hub, settings)
        if prefix:
            server.config.app = Starlette(routes=[Mount(prefix, server.config.app)])
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        base = f"http://127.0.0.1:{listener.getsockname()[1]}"
        try:
            wait_for(lambda: server.started, what="the server")
            # No TLS here, and reading the list of authorities takes longer than most answers (`verify`).
            with httpx.Client(base_url=base, timeout=20, verify=False) as client:
                yield Served(client, server, base)
        finally:
            server.should_exit = True
            thread.join(20)
    assert not thread.is_alive()


class Served:
    """A running server and a client of it."""

    def __init__(self, client: httpx.Client, server: HubServer, base: str) -> None:
        self.http = client
        self.server = server
        self.base = base

    def get(self, path: str, *, status: int = 200, **headers: str) -> httpx.Response:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        response = self.http.get(path, headers=given)
        assert response.status_code == status, response.text
        return response

    def json(self, path: str, *, status: int = 200) -> Any:
        return self.get(path, status=status).json()
