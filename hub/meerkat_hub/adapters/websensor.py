"""Meter pictures that are posted to the hub: a device on the bus like any other, inside the hub.

A picture goes the way of every picture, through Ingest and the hub's own commit. Only when the database
has it is it taken: `take` returns then, and raises otherwise, so nobody is told of a picture that a
power cut could still lose. It needs no broker for that. On the bus it is published after the commit,
retained, QoS 1, and again after a time without a broker; the hub hears itself and knows the id.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from meerkat_contract.connection import Connection
from meerkat_contract.errors import MediaError, MeerkatError, StorageError, UsageError
from meerkat_contract.ids import new_id
from meerkat_contract.message import read
from meerkat_contract.messages import DeviceInfo, ErrorReport, MeterInfo
from meerkat_contract.metadata import Metadata
from meerkat_contract.session import Delivery, Incoming, Session, Will
from meerkat_contract.topics import DeviceTopic, ThingTopic
from meerkat_hub.websensor_settings import WebsensorSettings

from .ingest import Ingest, check_jpeg
from .live import Change, Live
from .media import MediaFolder
from .queries import Filter, Queries, StoredPicture
from .store import Store

log = logging.getLogger("meerkat.hub")

COMMIT_SECONDS = 20.0
"""What a commit may take on a slow disk; after that it is said that the picture is not taken."""

_END = b"\xff\xd9"

MODEL = "cameras that post to /websensor"


@dataclass(frozen=True, slots=True)
class Latest:
    """A meter's newest picture, as it was posted."""

    jpeg: bytes
    captured_at: datetime


class Websensor:
    """The device of the posted pictures. `take` and `latest` may be called on any thread."""

    def __init__(
        self,
        settings: WebsensorSettings,
        connection: Connection,
        *,
        ingest: Ingest,
        store: Store,
        queries: Queries,
        media: MediaFolder,
        live: Live,
        failure: Callable[[], MeerkatError | None] = lambda: None,
        make_session: Callable[..., Session] = Session,
    ) -> None:
        """Does nothing yet. `failure` says why the hub cannot store just now, if it cannot."""
        self.meters = tuple(settings.meters)
        self._device = settings.device
        self._info = DeviceInfo(
            device=settings.device,
            label=settings.label,
            model=MODEL,
            software=f"meerkat {version('meerkat-home')}",
            meters=tuple(
                MeterInfo(name=name, label=meter.label, kind=meter.kind)
                for name, meter in settings.meters.items()
            ),
        )
        self._ingest = ingest
        self._store = store
        self._queries = queries
        self._media = media
        self._live = live
        self._failure = failure
        self._taking = threading.Lock()
        self._lock = threading.Lock()
        self._to_publish: dict[str, str] = {}
        """Meter → the id of its picture that the broker has not confirmed."""
        self._availability = DeviceTopic(settings.device, "availability")
        self.session = make_session(
            connection,
            client_id=f"meerkat-websensor-{settings.device}",
            will=Will(str(self._availability), b"offline"),
            on_connected=self._connected,
        )
        self._namesake = False
        self.session.subscribe(DeviceTopic(settings.device, "info"), self._introduced, no_local=True)

    def start(self) -> None:
        """Introduce the device, to the hub itself at once. Raises StorageError."""
        if self._live.devices.get(self._device) != self._info:
            self._live.devices[self._device] = self._info
            self._store.save_device(self._info, datetime.now(UTC))
            self._live.tell(Change("device", self._device))
        for meter in self.meters:
            if (stored := self._newest(meter)) is not None:
                self._to_publish[meter] = stored.id
        self.session.keep(
            DeviceTopic(self._device, "info"), self._info.to_json(), content_type="application/json"
        )
        self.session.keep(self._availability, b"online")
        self.session.start()

    def stop(self) -> None:
        self.session.keep(self._availability, b"offline")
        self.session.stop()

    # --- pictures -----------------------------------------------------------------------------------

    def take(self, meter: str, jpeg: bytes) -> str:
        """Store a picture and publish it; returns its id once it is durable.

        Raises MediaError when it is no whole JPEG, StorageError when it could not be stored.
        """
        topic = ThingTopic(self._device, meter, "picture")
        try:
            self._check(jpeg, str(topic))
            with self._taking:  # so that the later picture is the later one on the bus, too
                metadata = self._store_one(topic, jpeg)
                self._publish(meter, metadata, jpeg)
        except MeerkatError as error:
            self._report(error)
            raise
        log.debug("websensor: picture of %s taken, %d kB", meter, len(jpeg) // 1000)
        return metadata.id

    def _store_one(self, topic: ThingTopic, jpeg: bytes) -> Metadata:
        """Hand it to the hub, and wait until it is done with it; returns when the database has it."""
        metadata = Metadata(
            id=new_id(), captured_at=datetime.now(UTC), trigger="schedule", content_type="image/jpeg"
        )
        self._live.devices.setdefault(self._device, self._info)  # somebody may have cleared it from the bus
        done = threading.Event()
        properties = metadata.to_properties()
        self._ingest.take(Incoming(str(topic), jpeg, properties, "image/jpeg", acknowledge=done.set))
        # An acknowledgement means that it is done with it, well or not: the database knows which.
        if not done.wait(COMMIT_SECONDS) or metadata.id not in self._store.known([metadata.id]):
            raise self._failure_of(str(topic))
        return metadata

    def latest(self, meter: str) -> Latest | None:
        """The newest picture that is stored; None when there is none. Raises StorageError."""
        stored = self._newest(meter)
        jpeg = self._read(stored) if stored else None
        return Latest(jpeg, stored.captured_at) if stored and jpeg is not None else None

    def _newest(self, meter: str) -> StoredPicture | None:
        found = self._queries.meter_pictures(Filter(device=self._device, camera=meter, limit=1))
        return found[0] if found else None

    def _read(self, stored: StoredPicture) -> bytes | None:
        path: Path = self._media.path("pictures", stored.id, ".jpg")
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None  # retention has just removed it
        except OSError as error:
            raise StorageError(
                f"cannot be read ({error.strerror})", where=str(path), remedy="Look at the disk"
            ) from error

    @staticmethod
    def _check(jpeg: bytes, where: str) -> None:
        if not jpeg:
            raise MediaError(
                "nothing was posted", where=where, remedy="Is the file empty? Look at the camera"
            )
        if jpeg.startswith(b"\x89PNG"):
            raise MediaError("a PNG", where=where, remedy="Let the camera's program write a JPEG")
        check_jpeg(jpeg, where=where)
        if jpeg.rfind(_END) < 0:
            raise MediaError(
                "a JPEG that is cut off",
                where=where,
                remedy="Is the sender's disk full? Post it once it is whole",
            )

    def _failure_of(self, where: str) -> StorageError:
        known = self._ingest.failure or self._failure()
        what = "the picture could not be stored"
        if known is None:
            return StorageError(what, where=where, remedy="The hub's log says why; post it again")
        # The place on the disk is in the log, and none of the sender's business.
        return StorageError(f"{what}: {known.what}", where=where, remedy=known.remedy)

    # --- the bus ------------------------------------------------------------------------------------

    def _connected(self) -> None:
        """What the broker has not confirmed goes out; on the network thread."""
        with self._lock:
            waiting = dict(self._to_publish)
        for meter, picture_id in waiting.items():
            try:
                stored = self._newest(meter)
                jpeg = self._read(stored) if stored else None
            except StorageError as error:
                log.error("%s", error)
                continue
            if stored is None or jpeg is None:
                self._published(meter, picture_id)  # retention has removed it
                continue
            fields = {"id": stored.id, "captured_at": stored.captured_at, "trigger": stored.trigger}
            metadata = Metadata.model_validate({**fields, "content_type": "image/jpeg"})
            self._publish(meter, metadata, jpeg)

    def _introduced(self, message: Incoming) -> None:
        """Who else says to be this device is told of, once: the two would take each other's place."""
        try:
            model = read(DeviceInfo, message.payload, topic=message.topic).model if message.payload else MODEL
        except MeerkatError:
            return  # the hub, which hears it as well, says what is wrong
        if model == MODEL or self._namesake:
            return
        self._namesake = True
        self._report(
            UsageError(
                f"another device has this name ({model})",
                where=f"hub.websensor.device: {self._device}",
                remedy="Give one of them another name",
            )
        )

    def _publish(self, meter: str, metadata: Metadata, jpeg: bytes) -> None:
        def settled(delivery: Delivery) -> None:
            if delivery.error is None:
                self._published(meter, metadata.id)
            elif self.session.connected:  # else it goes out with the next connection
                self._published(meter, metadata.id)
                self._report(delivery.error)

        with self._lock:
            self._to_publish[meter] = metadata.id
        topic = ThingTopic(self._device, meter, "picture")
        self.session.publish(topic, jpeg, qos=1, retain=True, metadata=metadata).add_done_callback(settled)

    def _published(self, meter: str, picture_id: str) -> None:
        """It is over with this picture, unless a newer one has come meanwhile."""
        with self._lock:
            if self._to_publish.get(meter) == picture_id:
                del self._to_publish[meter]

    def _report(self, error: MeerkatError) -> None:
        """In the log, and where the errors of every device are shown."""
        if not self.session.connected:  # else the hub hears the report, and logs it as any device's
            log.warning("websensor: %s", error)
        report = ErrorReport(what=error.what, where=error.where, remedy=error.remedy, at=datetime.now(UTC))
        self.session.publish(DeviceTopic(self._device, "error"), report.to_json(), qos=1)
