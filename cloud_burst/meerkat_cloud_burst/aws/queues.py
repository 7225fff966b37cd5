"""Orders, results and dead letters in SQS.

How long a message that was taken stays hidden is the queue's own setting (VisibilityTimeout of the stack),
unless a worker prolongs it. What cannot be read is told in the log, counted in `unreadable` and deleted: it
would come again for days.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import TypeAdapter, ValidationError

from meerkat_cloud_burst.errors import CloudError
from meerkat_cloud_burst.messages import Announced, Life, Order
from meerkat_cloud_burst.ports import QueueState, Received
from meerkat_contract.errors import BadMessage
from meerkat_contract.message import read

from .clients import LONGEST_POLL, Clients
from .errors import answered_at

log = logging.getLogger("meerkat.cloud")

AT_A_TIME = 10
"""Messages that SQS hands out, or deletes, with one request."""

FRESH = 300.0
"""Seconds; a Life that waited longer in the queue says nothing of now, and is dropped."""

_COUNTS = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
_SAYINGS: TypeAdapter[Announced | Life] = TypeAdapter(Announced | Life)


class _Queue:
    """One queue of SQS. Its methods may be used by several threads."""

    def __init__(self, clients: Clients, url: str) -> None:
        self._clients = clients
        self._url = url
        self.name = url.rsplit("/", 1)[-1]
        self.unreadable = 0

    def send(self, body: bytes, doing: str) -> None:
        with self._asking(doing) as client:
            client.send_message(QueueUrl=self._url, MessageBody=body.decode())

    def receive(self, wait: float, limit: int, doing: str) -> tuple[list[dict[str, Any]], datetime]:
        """Messages, and SQS's own time when it answered."""
        with self._asking(doing, polling=True) as client:
            answer = client.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=min(limit, AT_A_TIME),
                WaitTimeSeconds=min(math.ceil(wait), LONGEST_POLL),
                MessageSystemAttributeNames=["ApproximateReceiveCount", "SentTimestamp"],
            )
        return list(answer.get("Messages", ())), answered_at(answer) or datetime.now(UTC)

    def prolong(self, receipt: str, seconds: float) -> None:
        with self._asking("prolonging an order") as client:
            client.change_message_visibility(
                QueueUrl=self._url, ReceiptHandle=receipt, VisibilityTimeout=math.ceil(seconds)
            )

    def delete(self, receipts: Sequence[str], doing: str) -> None:
        """A receipt that holds no longer is no error: its message is somebody else's, or gone."""
        for begin in range(0, len(receipts), AT_A_TIME):
            some = receipts[begin : begin + AT_A_TIME]
            with self._asking(doing) as client:
                answer = client.delete_message_batch(
                    QueueUrl=self._url,
                    Entries=[
                        {"Id": str(number), "ReceiptHandle": receipt} for number, receipt in enumerate(some)
                    ],
                )
            for failed in answer.get("Failed", ()):
                if not failed.get("SenderFault"):
                    raise CloudError(
                        f"a message cannot be deleted: {failed.get('Code', '')}",
                        cause="network",
                        where=f"queue {self.name}",
                        remedy="It is tried again",
                    )

    def drop(self, message: dict[str, Any], why: str) -> None:
        self.unreadable += 1
        log.warning("A message of queue %s cannot be read and is deleted: %s", self.name, why)
        self.delete([message["ReceiptHandle"]], "deleting what cannot be read")

    def counts(self) -> tuple[int, int]:
        """Waiting, and taken by somebody."""
        with self._asking("counting messages") as client:
            told = client.get_queue_attributes(QueueUrl=self._url, AttributeNames=list(_COUNTS))
        waiting, taken = (int(told.get("Attributes", {}).get(name, 0)) for name in _COUNTS)
        return waiting, taken

    def _asking(self, doing: str, *, polling: bool = False) -> Any:
        return self._clients.asking("sqs", doing, f"queue {self.name}", polling=polling)


class SqsOrderQueue:
    """The port OrderQueue: queue jobs, and its dead letters."""

    def __init__(self, clients: Clients, url: str, dead_url: str) -> None:
        self._jobs = _Queue(clients, url)
        self._dead = _Queue(clients, dead_url)

    @property
    def unreadable(self) -> int:
        """Messages deleted because they were no orders."""
        return self._jobs.unreadable + self._dead.unreadable

    def send(self, order: Order) -> None:
        self._jobs.send(order.to_json(), "sending an order")

    def receive(self, wait: float) -> Received | None:
        """The next order; None after `wait` seconds without one, or after one that could not be read."""
        messages, _ = self._jobs.receive(wait, 1, "waiting for an order")
        return next(_orders(self._jobs, messages), None)

    def prolong(self, receipt: str, seconds: float) -> None:
        """Raises Gone when the order is no longer this worker's."""
        self._jobs.prolong(receipt, seconds)

    def delete(self, receipt: str) -> None:
        self._jobs.delete([receipt], "deleting an order")

    def look(self) -> QueueState:
        waiting, taken = self._jobs.counts()
        return QueueState(waiting, taken, sum(self._dead.counts()))

    def dead_letters(self, limit: int = AT_A_TIME) -> Sequence[Received]:
        # A second of waiting asks all of SQS's servers; without it, some, and a letter may be overlooked.
        messages, _ = self._dead.receive(1, limit, "looking at the dead letters")
        return list(_orders(self._dead, messages))

    def bury(self, receipt: str) -> None:
        self._dead.delete([receipt], "burying a dead letter")


class SqsResultQueue:
    """The port ResultQueue."""

    def __init__(self, clients: Clients, url: str) -> None:
        self._queue = _Queue(clients, url)

    @property
    def unreadable(self) -> int:
        return self._queue.unreadable

    def announce(self, message: Announced | Life) -> None:
        self._queue.send(message.to_json(), "announcing a result")

    def receive(self, wait: float, limit: int = AT_A_TIME) -> Sequence[tuple[Announced | Life, str]]:
        messages, now = self._queue.receive(wait, limit, "waiting for results")
        said: list[tuple[Announced | Life, str]] = []
        for message in messages:
            try:
                saying = _SAYINGS.validate_json(message.get("Body", ""))
            except ValidationError as error:
                self._queue.drop(message, f"{error.error_count()} fields are wrong")
                continue
            if isinstance(saying, Life) and _age(message, now) > FRESH:
                self.delete([message["ReceiptHandle"]])
                continue
            said.append((saying, message["ReceiptHandle"]))
        return said

    def delete(self, receipts: Sequence[str]) -> None:
        self._queue.delete(receipts, "deleting results that were taken")

    def give_back(self, receipts: Sequence[str]) -> None:
        """Offer them again at once: who took them ends before using them."""
        for receipt in receipts:
            self._queue.prolong(receipt, 0)


def _orders(queue: _Queue, messages: list[dict[str, Any]]) -> Iterator[Received]:
    for message in messages:
        receives = int(message.get("Attributes", {}).get("ApproximateReceiveCount", 1))
        try:
            order = read(Order, message.get("Body", "").encode(), topic=f"queue {queue.name}")
        except BadMessage as error:
            queue.drop(message, error.what)
        else:
            yield Received(order, message["ReceiptHandle"], receives)


def _age(message: dict[str, Any], now: datetime) -> float:
    sent = int(message.get("Attributes", {}).get("SentTimestamp", 0)) / 1000
    return now.timestamp() - sent if sent else 0.0
