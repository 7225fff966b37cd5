"""The pictures that are published with events."""

from __future__ import annotations

import logging
from importlib.util import find_spec

from meerkat_contract.errors import MediaError
from meerkat_contract.frame_region import in_part
from meerkat_contract.messages import EventState

from .media import MediaFolder
from .store import Store

log = logging.getLogger("meerkat.hub")


class EventPictures:
    """Reads them from the disk. Who sees one on the bus has no page that draws: so the box is in it."""

    def __init__(self, store: Store, media: MediaFolder) -> None:
        self._store = store
        self._media = media

    def read(self, event_id: str) -> bytes | None:
        """The JPEG of an event as it is published; None when there is none any more."""
        name, workflows_event = self._store.event_picture(event_id)
        if name is None:
            return None
        try:
            jpeg = self._media.path("events", name, ".jpg").read_bytes()
        except OSError as error:
            log.error("%s: an event's picture cannot be read (%s)", name, error.strerror)
            return None
        return jpeg if workflows_event is None else outlined(jpeg, workflows_event)


def outlined(jpeg: bytes, event: EventState) -> bytes:
    """The frame that a workflow decided upon, with what it saw framed and named: workers do that to the
    pictures of recordings, and leave frames as they come.

    A close-up of a face stays as it is; so does every picture where OpenCV is not installed (it comes with
    a worker or a device on the same machine) or cannot be loaded, and one that cannot be decoded.
    """
    box = in_part(event.box, event.region)
    if box is None or event.box == event.region or find_spec("cv2") is None:
        return jpeg
    from meerkat_inference.detector import Found
    from meerkat_inference.picture import decode_jpeg, draw_boxes, encode_jpeg

    try:
        return encode_jpeg(draw_boxes(decode_jpeg(jpeg), [Found(event.label, event.score, box)]))
    except (MediaError, ImportError) as error:
        log.warning("event %s: its picture is published without its box: %s", event.id, error)
        return jpeg
