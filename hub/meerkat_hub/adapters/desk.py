"""Where the API asks the hub's core and waits for the answer.

Only the hub's thread may look at the core. A question is an input like any other, with a ticket; the
answer is an effect that carries the ticket back, after everything it stands for has been committed.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as Overdue
from threading import Lock
from typing import TypeVar

from meerkat_contract.errors import MeerkatError
from meerkat_contract.ids import new_id
from meerkat_hub.core.cloud_records import BurstQuestion, BurstView, ShowBurst
from meerkat_hub.core.meter_records import (
    AnswerMeter,
    MeterAsked,
    MeterInput,
    MeterKey,
    MetersAsked,
    ReadNow,
    ShowMeters,
    Wish,
)
from meerkat_hub.core.meters.pictures import PATIENCE as READ_PATIENCE
from meerkat_hub.core.workflow_records import (
    AnswerRequest,
    ShowWorkflows,
    View,
    WorkflowInput,
    WorkflowRequested,
    WorkflowsAsked,
    WorkflowSpec,
    WorkflowWithdrawn,
)

PATIENCE = 10.0
"""Seconds for which a request waits for the hub's thread."""

Question = WorkflowInput | MeterInput | BurstQuestion
AnyAnswer = AnswerRequest | ShowWorkflows | AnswerMeter | ShowMeters | ShowBurst
Answer = TypeVar("Answer", AnswerRequest, ShowWorkflows, AnswerMeter, ShowMeters, ShowBurst)


class Desk:
    """Thread-safe. `happened` gives an input to the hub; `answered` takes the effects."""

    def __init__(self, happened: Callable[[Question], None], *, patience: float = PATIENCE) -> None:
        self._happened = happened
        self._patience = patience
        self._lock = Lock()
        self._open: dict[str, Future[AnyAnswer]] = {}

    def request(self, name: str, spec: WorkflowSpec, *, wait: bool) -> AnswerRequest:
        """Ask for a workflow. Raises MeerkatError when the hub does not answer."""
        return self._ask(lambda ticket: WorkflowRequested(name, spec, ticket, wait), AnswerRequest)

    def withdraw(self, name: str) -> AnswerRequest:
        """End a workflow. Raises MeerkatError when the hub does not answer."""
        return self._ask(lambda ticket: WorkflowWithdrawn(name, ticket), AnswerRequest)

    def view(self) -> View:
        """How workflows and nodes stand. Raises MeerkatError when the hub does not answer."""
        return self._ask(WorkflowsAsked, ShowWorkflows).view

    def wish(self, device: str, meter: str, wish: Wish) -> AnswerMeter:
        """Want something of a meter; a reading takes up to READ_PATIENCE. Raises MeerkatError when the hub
        does not answer."""
        patience = self._patience + (READ_PATIENCE if isinstance(wish, ReadNow) else 0)
        return self._ask(
            lambda ticket: MeterAsked(ticket, device, meter, wish), AnswerMeter, "/api/meters", patience
        )

    def meters(self, only: MeterKey | None = None) -> ShowMeters:
        """How all meters stand, or this one. Raises MeerkatError when the hub does not answer."""
        return self._ask(lambda ticket: MetersAsked(ticket, only), ShowMeters, "/api/meters")

    def burst(self) -> BurstView | None:
        """How the cloud burst stands; None where none is set up. Raises MeerkatError when the hub does not
        answer."""
        return self._ask(BurstQuestion, ShowBurst, "/api/burst").view

    def answered(self, answer: AnyAnswer) -> None:
        """An answer of the core; one that nobody waits for any more is dropped."""
        with self._lock:
            waiting = self._open.pop(answer.ticket, None)
        if waiting is not None:
            waiting.set_result(answer)

    def _ask(
        self,
        question: Callable[[str], Question],
        kind: type[Answer],
        where: str = "/api/workflows",
        patience: float | None = None,
    ) -> Answer:
        patience = self._patience if patience is None else patience
        ticket, waiting = new_id(), Future[AnyAnswer]()
        with self._lock:
            self._open[ticket] = waiting
        self._happened(question(ticket))
        try:
            answer = waiting.result(patience)
        except Overdue:
            with self._lock:
                self._open.pop(ticket, None)
            raise MeerkatError(
                f"the hub did not answer within {patience:g} s",
                where=where,
                remedy="GET /healthz says what is wrong; look how it stands before you repeat it",
            ) from None
        assert isinstance(answer, kind)
        return answer
