"""A message in hand: kept from other workers while it is worked on, and given back when it must be.

    with Hand(orders, received) as hand:
        …                                  # prolonged every 20 s
        if hand.answer():                  # from here on it is answered here
            … announce …; orders.delete(received.receipt)

A message that is taken is hidden from the others for a minute. A worker that dies lets that minute
pass, and another has it; one that ends gives it back at once.
"""

from __future__ import annotations

import logging
import threading
from types import TracebackType
from typing import Literal, Self

from meerkat_cloud_burst.errors import CloudError
from meerkat_cloud_burst.ports import OrderQueue, Received

VISIBILITY = 60.0
"""Seconds for which a message in hand is hidden from other workers…"""
BEAT = 1 / 3
"""…prolonged after this share of them: twice it may fail."""

_logger = logging.getLogger(__name__)


class Hand:
    """One message, from its receipt to its end. `give_back` may be called from any thread."""

    def __init__(
        self,
        orders: OrderQueue,
        received: Received,
        *,
        visibility: float = VISIBILITY,
        beat: float = VISIBILITY * BEAT,
    ) -> None:
        self.received = received
        self._orders = orders
        self._visibility = visibility
        self._beat = beat
        self._state: Literal["working", "answering", "back"] = "working"
        self._deciding = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()

    @property
    def given_back(self) -> bool:
        return self._state == "back"

    def wait(self, seconds: float) -> None:
        """Let so much time pass; less when the message is given back."""
        self._over.wait(seconds)

    def answer(self) -> bool:
        """Whether the message is still ours; it is not given back any more then."""
        with self._deciding:
            if self._state == "working":
                self._state = "answering"
            return self._state == "answering"

    def give_back(self) -> bool:
        """Let others have it at once; False when its answer is on its way already.

        What cannot be given back, since the queue does not answer, comes back by itself a minute later.
        """
        with self._deciding:
            if self._state == "answering":
                return False
            self._state = "back"
        self._over.set()
        self._return()
        return True

    def _return(self) -> None:
        try:
            self._orders.prolong(self.received.receipt, 0)
        except CloudError as error:
            _logger.warning(
                "The clip comes back to the queue within a minute: it could not be given back (%s)", error
            )

    def _keep(self) -> None:
        # The first at once: the queue's own time may be shorter.
        while not self._over.is_set():
            try:
                self._orders.prolong(self.received.receipt, self._visibility)
            except CloudError as error:
                if self._over.is_set():  # answered meanwhile: the message is gone
                    return
                _logger.warning("The clip in hand may be given to another worker too: %s", error)
            else:
                if self._state == "back":  # this beat came later than the hand-over
                    self._return()
            self._over.wait(self._beat)
