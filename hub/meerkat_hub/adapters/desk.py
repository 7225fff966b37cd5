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

Answer = TypeVar("Answer", AnswerRequest, ShowWorkflows)


class Desk:
    """Thread-safe. `happened` gives an input to the hub; `answered` takes the effects."""

    def __init__(self, happened: Callable[[WorkflowInput], None], *, patience: float = PATIENCE) -> None:
        self._happened = happened
        self._patience = patience
        self._lock = Lock()
        self._open: dict[str, Future[AnswerRequest | ShowWorkflows]] = {}

    def request(self, name: str, spec: WorkflowSpec, *, wait: bool) -> AnswerRequest:
        """Ask for a workflow. Raises MeerkatError when the hub does not answer."""
        return self._ask(lambda ticket: WorkflowRequested(name, spec, ticket, wait), AnswerRequest)

    def withdraw(self, name: str) -> AnswerRequest:
        """End a workflow. Raises MeerkatError when the hub does not answer."""
        return self._ask(lambda ticket: WorkflowWithdrawn(name, ticket), AnswerRequest)

    def view(self) -> View:
        """How workflows and nodes stand. Raises MeerkatError when the hub does not answer."""
        return self._ask(WorkflowsAsked, ShowWorkflows).view

    def answered(self, answer: AnswerRequest | ShowWorkflows) -> None:
        """An answer of the core; one that nobody waits for any more is dropped."""
        with self._lock:
            waiting = self._open.pop(answer.ticket, None)
        if waiting is not None:
            waiting.set_result(answer)

    def _ask(self, question: Callable[[str], WorkflowInput], kind: type[Answer]) -> Answer:
        ticket, waiting = new_id(), Future[AnswerRequest | ShowWorkflows]()
        with self._lock:
            self._open[ticket] = waiting
        self._happened(question(ticket))
        try:
            answer = waiting.result(self._patience)
        except Overdue:
            with self._lock:
                self._open.pop(ticket, None)
            raise MeerkatError(
                f"the hub did not answer within {self._patience:g} s",
                where="/api/workflows",
                remedy="GET /healthz says what is wrong; look how the workflow stands before you repeat it",
            ) from None
        assert isinstance(answer, kind)
        return answer
