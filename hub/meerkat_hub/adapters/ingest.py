"""From messages of devices to inputs of the core: validate, write to disk, hand over.

One thread, so that what a device sends keeps its order. A message is acknowledged to the broker
when the hub has committed or refused it. A clip of a device that has not introduced itself yet
(its `info` may be on the way) waits INTRODUCTION seconds, then it is refused.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from meerkat_contract.errors import BadMessage, MediaError, MeerkatError, StorageError
from meerkat_contract.ids import is_id
from meerkat_contract.messages import MeterSeen, read
from meerkat_contract.metadata import Metadata
from meerkat_contract.session import Incoming
from meerkat_contract.topics import ThingTopic, parse
from meerkat_contract.values import value
from meerkat_hub.clock import now
from meerkat_hub.container import check_video
from meerkat_hub.core.inputs import ClipArrived, Input, PictureArrived, Refused
from meerkat_hub.core.meter_records import SeenArrived
from meerkat_hub.core.records import Clip, MeterPicture, Now, Refusal
from meerkat_hub.settings import HubSettings

from .media import MediaFolder, suffix_of

log = logging.getLogger("meerkat.hub")

INTRODUCTION = 5.0
MEGABYTE = 1_000_000
MAX_PIXELS = 50_000_000
LONGEST = 1_800.0
"""Seconds; a clip that says it is longer is planned as this long."""


@value
class Arrived:
    """An input with its file, and how to acknowledge the message it came in.

    `incoming` is where its file lies, and `final` where it belongs. Nothing is synced yet.
    """

    input: Input
    incoming: Path | None = None
    final: Path | None = None
    ack: Callable[[], None] | None = None

    @property
    def in_place(self) -> bool:
        """Whether its file is where it belongs already."""
        return self.incoming is not None and self.incoming == self.final


@dataclass(frozen=True, slots=True)
class _Held:
    message: Incoming
    until: float


class Ingest:
    def __init__(
        self,
        media: MediaFolder,
        settings: HubSettings,
        introduced: Callable[[str], bool],
        hand_over: Callable[[Arrived], None],
        clock: Callable[[], Now] = now,
    ) -> None:
        self._media = media
        self._settings = settings
        self._introduced = introduced
        self._hand_over = hand_over
        self._clock = clock
        self._queue: queue.SimpleQueue[Incoming | None] = queue.SimpleQueue()
        self._held: list[_Held] = []
        self._thread = threading.Thread(target=self._run, name="ingest", daemon=True)
        self.failure: StorageError | None = None
        """Set while the disk refuses what devices send."""

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._queue.put(None)
        self._thread.join(10)

    @property
    def ended(self) -> bool:
        """Whether its thread was started and runs no more."""
        return self._thread.ident is not None and not self._thread.is_alive()

    def take(self, message: Incoming) -> None:
        """A clip, a meter's picture or its reading came; called on the network thread."""
        self._queue.put(message)

    def refuse(self, part: Incoming, error: BadMessage) -> None:
        """Parts came that do not make a whole; called on the network thread."""
        device = topic.device if isinstance(topic := parse(part.topic), ThingTopic) else ""
        refusal = Refusal(part.topic, str(error), self._clock().wall, _claimed_id(part), device)
        self._hand_over(Arrived(Refused(refusal), ack=part.ack))

    def _run(self) -> None:
        while True:
            timeout = 0.2 if self._held else None
            try:
                message = self._queue.get(timeout=timeout)
                if message is None:
                    return
                self.look(message)
            except queue.Empty:
                pass
            if self._held:
                self.look_again()

    def look(self, message: Incoming) -> None:
        """Accept a message, refuse it, or hold it until its device has introduced itself."""
        self._one(message, self._clock().mono + INTRODUCTION)

    @property
    def holding(self) -> bool:
        """Whether a message waits for its device's introduction; then `look_again` is to be called."""
        return bool(self._held)

    def look_again(self) -> None:
        held, self._held = self._held, []
        for item in held:
            self._one(item.message, item.until)

    def _one(self, message: Incoming, until: float) -> None:
        media_id, device = _claimed_id(message), ""
        try:
            topic = parse(message.topic)
            if not isinstance(topic, ThingTopic):
                raise BadMessage("media on a topic that carries none", where=message.topic)
            device = topic.device
            metadata = message.metadata()
            if metadata.trigger != "submit" and not self._introduced(device):
                if self._clock().mono < until:
                    self._held.append(_Held(message, until))
                    return
                raise BadMessage(
                    f"device {device} has not introduced itself",
                    where=message.topic,
                    remedy=f"Publish meerkat/device/{device}/info, retained, before the first clip",
                )
            self._hand_over(self._accept(topic, metadata, message))
            self.failure = None
        except StorageError as error:
            # No receipt: the device keeps what it sent and sends it again.
            self.failure = error
            log.error("%s", error)
            message.ack()
        except MeerkatError as error:
            refusal = Refusal(message.topic, str(error), self._clock().wall, media_id, device)
            self._hand_over(Arrived(Refused(refusal), ack=message.ack))
        except Exception as error:  # a fault of ours must not leave the hub deaf
            log.exception("a fault while a message on %s was read", message.topic)
            reason = f"a fault in the hub while it was read ({error!r})"
            refusal = Refusal(message.topic, reason, self._clock().wall, media_id, device)
            self._hand_over(Arrived(Refused(refusal), ack=message.ack))

    def _accept(self, topic: ThingTopic, metadata: Metadata, message: Incoming) -> Arrived:
        if topic.kind == "seen":
            return self._accept_seen(topic, metadata, message)
        size = len(message.payload)
        is_clip = topic.kind == "clip"
        limit = (
            self._settings.max_clip_megabytes if is_clip else self._settings.max_picture_megabytes
        ) * MEGABYTE
        if size > limit:
            raise MediaError(
                f"{size / MEGABYTE:.1f} MB is more than the limit of {limit / MEGABYTE:g} MB",
                where=message.topic,
                remedy="Make shorter clips, or raise hub.max_clip_megabytes or hub.max_picture_megabytes",
            )
        now = self._clock().wall
        captured = _whole(metadata.captured_at)
        if is_clip:
            video = check_video(message.payload, where=message.topic)
            clip = Clip(
                id=metadata.id,
                device=topic.device,
                camera=topic.thing,
                captured_at=captured,
                received_at=now,
                recording=metadata.recording or metadata.id,
                sequence=metadata.sequence,
                last=metadata.last or metadata.recording is None,
                duration=min(max(metadata.duration or 0.0, video.duration), LONGEST),
                content_type=video.content_type,
                size=size,
                trigger=metadata.trigger,
                cloud=metadata.cloud or "",
            )
            final = self._media.path("clips", clip.id, suffix_of(video.content_type))
            return Arrived(ClipArrived(clip), self._media.receive(message.payload, final), final, message.ack)
        check_jpeg(message.payload, where=message.topic)
        picture = MeterPicture(
            metadata.id,
            topic.device,
            topic.thing,
            captured,
            now,
            size,
            metadata.trigger,
            metadata.condition,
        )
        final = self._media.path("pictures", picture.id, ".jpg")
        return Arrived(
            PictureArrived(picture), self._media.receive(message.payload, final), final, message.ack
        )

    def _accept_seen(self, topic: ThingTopic, metadata: Metadata, message: Incoming) -> Arrived:
        """What a device has read by itself; `of` names the picture when that comes too."""
        seen = read(MeterSeen, message.payload, topic=message.topic)
        if not seen.counters:
            raise BadMessage("a reading without a counter", where=message.topic, remedy="Say what was seen")
        arrived = SeenArrived(
            metadata.id,
            metadata.of or metadata.id,
            topic.device,
            topic.thing,
            _whole(metadata.captured_at),
            seen,
        )
        return Arrived(arrived, ack=message.ack)


def _whole(at: datetime) -> datetime:
    """In milliseconds, as it is stored."""
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def check_jpeg(data: bytes, *, where: str) -> None:
    """Refuse what is no JPEG or claims to be enormous; reads the header only."""
    from meerkat_inference.picture import jpeg_size

    try:
        width, height = jpeg_size(data)
    except MediaError as error:
        raise MediaError(error.what, where=where, remedy=error.remedy) from error
    if width * height > MAX_PIXELS:
        raise MediaError(
            f"the picture says that it has {width} × {height} pixels, more than {MAX_PIXELS:,}",
            where=where,
            remedy="Send a smaller picture",
        )


def _claimed_id(message: Incoming) -> str:
    claimed = dict(message.properties).get("id", "")
    return claimed if is_id(claimed) else ""
