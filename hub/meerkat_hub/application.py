"""The hub's parts, put together and run until it is told to stop."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

from sqlalchemy import Engine

from meerkat_cloud_burst.news import CloudEffect, CloudNews
from meerkat_cloud_burst.settings import BurstSettings
from meerkat_contract.connection import Connection
from meerkat_contract.errors import StorageError
from meerkat_contract.ids import new_id
from meerkat_contract.messages import Face, ModelInfo
from meerkat_contract.session import Session

from .adapters.annotated import AnnotatedVideos
from .adapters.bus import HubBus
from .adapters.database import open_database
from .adapters.desk import Desk
from .adapters.farewell import Farewell
from .adapters.forgetting import Forgetting
from .adapters.frames import FrameStore
from .adapters.ingest import Ingest
from .adapters.live import Live
from .adapters.media import SUFFIXES, MediaFolder, suffix_of
from .adapters.page_cameras import PageCameras
from .adapters.people_store import PeopleStore
from .adapters.queries import Queries
from .adapters.retention import Retention
from .adapters.store import Store
from .adapters.websensor import Websensor
from .adapters.workflow_bus import WorkflowBus
from .clock import now
from .core.meter_records import ConfiguredMeter, MeterKey
from .core.workflow_records import Policy, WorkflowSpec
from .core.workflows.recognition import Match
from .service import HubService
from .settings import HubSettings
from .websensor_settings import WebsensorSettings

log = logging.getLogger("meerkat.hub")

SWEEP_EVERY = 600.0
"""Seconds between sweeps of what is past its time."""

LOOK_EVERY = 60.0
"""Seconds between looks at the disk: while it is nearly full, each of them is a sweep."""


class CloudAgent(Protocol):
    """Who speaks with the cloud, on threads of its own: `meerkat_cloud_burst.agent.Agent`."""

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def carry_out(self, effect: CloudEffect) -> None: ...

    def fetch_annotated(self, clip: str, path: Path) -> None: ...


MakeAgent = Callable[[BurstSettings, Callable[[str], Path], Callable[[CloudNews], None]], CloudAgent]
"""settings, where a clip's media lie, and who is told the news → an agent that is not started."""


def _make_agent(
    settings: BurstSettings, media: Callable[[str], Path], tell: Callable[[CloudNews], None]
) -> CloudAgent:
    from meerkat_cloud_burst.agent import Agent  # and with it boto3: only where it is wanted

    return Agent(settings, media=media, tell=tell)


@dataclass(slots=True)
class Hub:
    """A hub that has been built and not started: `start()`, later `stop()`."""

    data: Path
    engine: Engine
    store: Store
    media: MediaFolder
    live: Live
    service: HubService
    ingest: Ingest
    bus: HubBus
    retention: Retention
    people: PeopleStore
    frames: FrameStore
    desk: Desk
    forgetting: Forgetting
    websensor: Websensor | None = None
    """None unless it is enabled."""
    agent: CloudAgent | None = None
    """None unless the cloud burst is enabled."""
    annotated: AnnotatedVideos | None = None
    """As `agent`."""
    cameras: PageCameras | None = None
    """Those that are added on the page; None where nobody would run them."""
    farewell: Farewell | None = None
    """As `cameras`."""
    _stopping: threading.Event = field(default_factory=threading.Event)
    _sweeper: threading.Thread | None = None

    def start(self) -> None:
        """Begin; connects to the broker in the background. Raises StorageError."""
        left = self.media.clear_incoming()
        orphans = self.retention.remove_orphans()
        if left or orphans:
            log.info("removed %d files that an earlier run left unfinished", left + orphans)
        for device in self.store.devices():
            self.live.devices.setdefault(device.device, device)
        self.ingest.start()
        self.service.start(self.bus.actions())
        self.bus.start()
        if self.websensor is not None:
            self.websensor.start()
        if self.farewell is not None:
            self.farewell.start()
        if self.annotated is not None:
            self.annotated.clear()
        if self.agent is not None:
            self.agent.start()
        self._sweeper = threading.Thread(target=self._sweep, name="retention", daemon=True)
        self._sweeper.start()

    def stop(self) -> None:
        self._stopping.set()
        self.retention.stop()
        if self.farewell is not None:
            self.farewell.stop()
        if self.agent is not None:
            self.agent.stop()
        if self.websensor is not None:
            self.websensor.stop()
        self.bus.stop()
        self.ingest.stop()
        self.service.stop()
        if self._sweeper is not None:
            self._sweeper.join(10)
        self.engine.dispose()

    def _sweep(self) -> None:
        due = 0.0
        while True:
            self.bus.asleep.look(now())
            self.bus.roll_call.look(now())
            self.bus.calls.look(now())
            self.forgetting.look()
            try:
                if time.monotonic() >= due or self.retention.is_low():
                    due = time.monotonic() + SWEEP_EVERY
                    self.retention.sweep(datetime.now(UTC))
            except StorageError as error:
                log.error("%s", error)
            if self._stopping.wait(LOOK_EVERY):
                return


@dataclass(frozen=True, slots=True)
class _Residents:
    """The people of the house as they are now: their gallery is replaced when they change."""

    people: PeopleStore

    def who_all(self, faces: Sequence[Face], model_sha256: str) -> Sequence[Match]:
        return self.people.gallery.who_all(faces, model_sha256)

    def doubt(self, model: ModelInfo) -> str:
        return self.people.gallery.doubt(model)

    @property
    def known_by(self) -> str:
        return self.people.gallery.known_by


def build_hub(
    data: Path,
    connection: Connection,
    settings: HubSettings,
    *,
    page: str = "",
    workflows: Mapping[str, WorkflowSpec] | None = None,
    policy: Policy | None = None,
    meters: Mapping[MeterKey, ConfiguredMeter] | None = None,
    burst: BurstSettings | None = None,
    cameras: PageCameras | None = None,
    over: Collection[str] = (),
    make_agent: MakeAgent = _make_agent,
) -> Hub:
    """Open the data folder `<data>/hub` and put the parts together. Raises StorageError.

    `over`: devices of the demo that are there no longer.
    """
    root = data / "hub"
    media, engine = _open_media(root), open_database(root / "hub.db")
    store, live, people, frames = Store(engine), Live(), PeopleStore(engine), FrameStore()
    service = HubService(
        store,
        media,
        live,
        settings,
        frames=frames,
        recogniser=_Residents(people),
        workflows=workflows,
        policy=policy,
        meters=meters,
        burst=burst,
    )
    agent = None
    if burst is not None and burst.enabled:
        agent = make_agent(burst, partial(_clip_file, media), service.happened)
    desk = Desk(service.happened)
    ingest = Ingest(media, settings, lambda device: device in live.devices, service.give)
    bus = HubBus(
        connection,
        service=service,
        ingest=ingest,
        store=store,
        media=media,
        live=live,
        software=version("meerkat-home"),
        page=page,
        workflows=WorkflowBus(
            frames,
            desk,
            happened=service.happened,
            clock=now,
            new_id=new_id,
            address=page if page.startswith("http") else "",  # nodes fetch models there
            tell=live.tell,
        ),
        answer=desk.answered,
        cloud=None if agent is None else agent.carry_out,
        make_session=partial(Session, wire="own", around=service.hearing),  # all clips and frames pass here
    )
    hub = Hub(
        data=data,
        engine=engine,
        store=store,
        media=media,
        live=live,
        service=service,
        ingest=ingest,
        bus=bus,
        retention=Retention(engine, media, settings.retention),
        people=people,
        frames=frames,
        desk=desk,
        forgetting=Forgetting(connection, live),
        agent=agent,
        cameras=cameras,
        farewell=None if cameras is None else Farewell(connection, live, cameras, over=over),
        annotated=None if agent is None else AnnotatedVideos(root / "annotated", agent.fetch_annotated),
    )
    if settings.websensor.enabled:
        hub.websensor = _make_websensor(hub, settings.websensor, connection)
    return hub


def _open_media(root: Path) -> MediaFolder:
    """Raises StorageError."""
    try:
        return MediaFolder(root / "media")
    except OSError as error:
        raise StorageError(
            f"the folder cannot be made ({error.strerror})",
            where=str(root),
            remedy="Name another data folder with --data, or check its permissions",
        ) from error


def _make_websensor(hub: Hub, settings: WebsensorSettings, connection: Connection) -> Websensor:
    return Websensor(
        settings,
        connection,
        ingest=hub.ingest,
        store=hub.store,
        queries=Queries(hub.engine),
        media=hub.media,
        live=hub.live,
        failure=lambda: hub.service.failure,
    )


def _clip_file(media: MediaFolder, clip: str) -> Path:
    """Where the media of a clip lie, whatever their kind."""
    paths = [media.path("clips", clip, suffix) for suffix in (*SUFFIXES.values(), suffix_of(""))]
    return next((path for path in paths if path.exists()), paths[0])
