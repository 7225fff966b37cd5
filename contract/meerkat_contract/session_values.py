"""The values a session hands out: a message that came, the fate of one that goes, a will."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .errors import BrokerError, MeerkatError
from .metadata import Metadata
from .values import value

_logger = logging.getLogger("meerkat.mqtt")


def nothing() -> None:
    """The acknowledgement of what needs none."""


def once(action: Callable[[], None]) -> Callable[[], None]:
    """Idempotent on all threads: the lock is taken once and never given back."""
    lock = threading.Lock()
    return lambda: action() if lock.acquire(blocking=False) else None


@value
class Incoming:
    """A message from the broker. `retain`: it is the topic's stored state, from before we subscribed."""

    topic: str
    payload: bytes
    properties: list[tuple[str, str]] = field(default_factory=list)
    content_type: str = ""
    retain: bool = False
    qos: int = 0
    acknowledge: Callable[[], None] = field(default=nothing, repr=False, compare=False)

    def metadata(self) -> Metadata:
        """Its user properties, validated. Raises BadMessage that names the topic and the property."""
        return Metadata.from_properties(self.properties, content_type=self.content_type, topic=self.topic)

    def ack(self) -> None:
        """Tell the broker that we have it; only needed with auto_ack=False.

        From any thread, as often as you like. After a reconnect it does nothing: the broker of a
        persistent session sends the message again then.
        """
        self.acknowledge()


@dataclass(frozen=True)
class Will:
    """What the broker publishes for us when the connection is lost without a goodbye."""

    topic: str
    payload: bytes
    retain: bool = True
    qos: int = 1


class Delivery:
    """The fate of one publish: done once, with an error or without."""

    __slots__ = ("_callbacks", "_changed", "_done", "error", "nobody")

    _lock = threading.Lock()

    def __init__(self) -> None:
        self.error: MeerkatError | None = None
        self.nobody = False
        """QoS 1: the broker has it, but nobody had subscribed to its topic when it came."""
        self._done = False
        self._changed: threading.Event | None = None
        self._callbacks: tuple[Callable[[Delivery], None], ...] = ()

    @property
    def done(self) -> bool:
        """Whether its fate is known. `error` is None then if the broker has it."""
        return self._done

    def wait(self, timeout: float) -> None:
        """Returns when the broker has the message (QoS 0: when it is written to the socket).

        Raises the error the delivery failed with, or BrokerError after `timeout` seconds. Never call
        it in a handler: the network thread would wait for itself.
        """
        with self._lock:
            if not self._done and self._changed is None:
                self._changed = threading.Event()
            changed = self._changed
        if not self._done and changed is not None and not changed.wait(timeout):
            raise BrokerError(
                f"the broker has not confirmed a message within {timeout:g} s",
                remedy="Look at the network and at the broker's load",
            )
        if self.error is not None:
            raise self.error

    def add_done_callback(self, fn: Callable[[Delivery], None]) -> None:
        """Call `fn(delivery)` on the network thread once done; at once, here, if it is done already."""
        with self._lock:
            if not self._done:
                self._callbacks = (*self._callbacks, fn)
                return
        fn(self)

    def finish(self, error: MeerkatError | None = None) -> None:
        """Settle it; the first call counts. The session's business, not its callers'."""
        with self._lock:
            if self._done:
                return
            self.error = error
            self._done = True
            callbacks, self._callbacks = self._callbacks, ()
            changed = self._changed
        if changed is not None:
            changed.set()
        for callback in callbacks:
            try:
                callback(self)
            except Exception:
                _logger.exception("a callback of a delivery failed")

    @classmethod
    def failed(cls, error: MeerkatError) -> Delivery:
        """One that failed before it began."""
        delivery = cls()
        delivery.finish(error)
        return delivery

    @classmethod
    def of_all(cls, deliveries: Sequence[Delivery]) -> Delivery:
        """Done when all are, or when the first one fails."""
        whole = cls()
        left = len(deliveries)

        def settle(part: Delivery) -> None:
            nonlocal left
            with counting:
                left -= 1
                last = left == 0
                whole.nobody = whole.nobody or part.nobody
            if part.error is not None or last:
                whole.finish(part.error)

        counting = threading.Lock()
        for delivery in deliveries:
            delivery.add_done_callback(settle)
        return whole
