"""What the keeper takes in, and what it has done: values, without I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Connected:
    """The session has subscribed, for the first time or again."""


@dataclass(frozen=True)
class Disconnected:
    """The connection is gone. Nothing is decided until the broker's truth has been read again."""


@dataclass(frozen=True)
class Received:
    """A message of one of the topics that the bridge subscribes to."""

    topic: str
    payload: bytes


@dataclass(frozen=True)
class Birth:
    """Home Assistant has started; all is to be published again after `delay` seconds."""

    delay: float


@dataclass(frozen=True)
class Death:
    """Home Assistant has gone: what is published now, it may not hear."""


@dataclass(frozen=True)
class Tick:
    """`wake_at` has come."""


Event = Connected | Disconnected | Received | Birth | Death | Tick


@dataclass(frozen=True)
class Publish:
    """One message for the broker, QoS 1."""

    topic: str
    payload: bytes
    retain: bool = True


@dataclass(frozen=True)
class Note:
    """Something to tell people in the log."""

    text: str
    level: Literal["info", "warning"] = "info"


Effect = Publish | Note


def marker_topic(object_id: str, prefix: str) -> str:
    """Says, retained, that Home Assistant's user deleted this device. Home Assistant does not read it."""
    return f"{prefix}/meerkat/{object_id}/dismissed"


def record_topic(object_id: str, prefix: str) -> str:
    """Holds, retained, the bridge's `Record` of a device. Home Assistant does not read it."""
    return f"{prefix}/meerkat/{object_id}/record"


def sync_topic(prefix: str) -> str:
    return f"{prefix}/meerkat/bridge/sync"
