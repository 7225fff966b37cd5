"""Workflows: ask for one, see how all stand, end one; and the nodes on which they run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from meerkat_contract.ids import NAME_PATTERN
from meerkat_contract.messages import WorkerState
from meerkat_hub.adapters.desk import Desk
from meerkat_hub.adapters.queries import Filter, Queries
from meerkat_hub.core import workflow_records as core

from .models import EventPage, NodeTelemetry, Problem, WorkflowProblem, WorkflowRequest, WorkflowView
from .parameters import AfterQuery, BeforeQuery, CursorQuery, LimitQuery, cut, from_cursor
from .problems import BAD_QUERY, NOT_FOUND, ApiError
from .routes_events import view as event_view

WorkflowPath = Annotated[
    str, Path(pattern=rf"^{NAME_PATTERN}$", description="a workflow's id", examples=["lobby"])
]

_CONFLICT: dict[int | str, dict[str, Any]] = {
    409: {"model": WorkflowProblem, "description": "Refused, with the numbers; or there is one already"}
}
_CONFIGURED: dict[int | str, dict[str, Any]] = {
    409: {"model": Problem, "description": "The configuration file has it"}
}
_SILENT: dict[int | str, dict[str, Any]] = {503: {"model": Problem, "description": "The hub does not answer"}}

REMEDIES = {
    "capacity": "Start a worker that offers these tasks, or ask for fewer frames; with `wait` it is tried "
    "again whenever nodes change",
    "delay": "Allow more delay, or start a faster worker; with `wait` it is tried again whenever nodes "
    "change",
    "decision": "The hub decides upon orchestrator.decisions_per_second frames of all workflows together: "
    "ask for fewer, or allow more",
}
_SHARE = ". With orchestrator.reserve: 0 clips of motion and workflows share the workers"


def routes(desk: Desk, queries: Queries, workers: Callable[[], list[WorkerState]]) -> APIRouter:
    """`workers` gives what workers said last."""
    router = APIRouter(prefix="/api", tags=["workflows"], responses=_SILENT)

    def find(request: Request, name: str) -> WorkflowView:
        found = [one for one in _views(desk.view()) if one.id == name]
        if not found:
            remedy = "GET /api/workflows lists what there is"
            raise ApiError(404, f"there is no workflow {name}", where=request.url.path, remedy=remedy)
        return found[0]

    @router.get("/workflows", summary="List workflows")
    def listed() -> list[WorkflowView]:
        """All that are wanted: as they were asked for, and how they stand."""
        return _views(desk.view())

    @router.post(
        "/workflows",
        summary="Ask for a workflow",
        status_code=201,
        responses={
            **_CONFLICT,
            **BAD_QUERY,
            202: {"model": WorkflowView, "description": "Refused now, and tried again: `wait` was given"},
        },
    )
    def ask(request: Request, response: Response, body: WorkflowRequest) -> WorkflowView:
        """201 when it runs. It is kept over restarts of the hub until it is deleted."""
        answer = desk.request(body.id, body.spec, wait=body.wait)
        where, state = request.url.path, answer.state
        if answer.outcome == "exists":
            remedy = f"DELETE /api/workflows/{body.id} first, or take another id"
            what = f"there is a workflow {body.id} already"
            raise ApiError(409, what, where=where, remedy=remedy, workflow=state)
        assert state is not None, "whoever was placed has a state"
        if answer.outcome == "refused":
            remedy = REMEDIES.get(state.cause, "") + (_SHARE if state.reserved else "")
            raise ApiError(409, state.reason, where=where, remedy=remedy, workflow=state)
        response.status_code = 201 if answer.outcome == "admitted" else 202
        response.headers["Location"] = f"{where}/{body.id}"
        return WorkflowView(id=body.id, configured=False, wanted=body.spec, state=state)

    @router.get("/workflows/{name}", summary="One workflow", responses=NOT_FOUND)
    def one(request: Request, name: WorkflowPath) -> WorkflowView:
        """As it was asked for, how it stands, on which nodes, and what became of its frames."""
        return find(request, name)

    @router.get("/workflows/{name}/events", summary="A workflow's events", responses=BAD_QUERY)
    def events(
        name: WorkflowPath,
        *,
        before: BeforeQuery = None,
        after: AfterQuery = None,
        limit: LimitQuery = 50,
        cursor: CursorQuery = None,
    ) -> EventPage:
        """What it decided, newest first; also of a workflow that has ended."""
        behind = from_cursor(cursor)
        found = queries.events(
            Filter(workflow=name, before=before, after=after, behind=behind, limit=limit + 1)
        )
        page, last = cut(found, limit, lambda event: (event.state.start_time, event.state.id))
        return EventPage(events=[event_view(stored) for stored in page], next=last)

    @router.delete(
        "/workflows/{name}",
        summary="End a workflow",
        status_code=204,
        responses={**NOT_FOUND, **_CONFIGURED},
    )
    def end(request: Request, name: WorkflowPath) -> Response:
        """Its nodes are free again. Its events stay until their time comes."""
        outcome = desk.withdraw(name).outcome
        if outcome == "configured":
            remedy = "Take it out of the section `workflows` of meerkat.yaml, and restart the hub"
            what = f"workflow {name} is in the configuration"
            raise ApiError(409, what, where=request.url.path, remedy=remedy)
        if outcome == "unknown":
            remedy = "GET /api/workflows lists what there is"
            raise ApiError(404, f"there is no workflow {name}", where=request.url.path, remedy=remedy)
        return Response(status_code=204)

    @router.get("/nodes", summary="List nodes")
    def nodes() -> list[NodeTelemetry]:
        """Workers with their telemetry, what the hub has measured, and what they serve."""
        said = {worker.worker: worker for worker in workers()}
        return [_node(node, said[node.worker]) for node in desk.view().nodes if node.worker in said]

    return router


def _views(view: core.View) -> list[WorkflowView]:
    return [
        WorkflowView(
            id=state.workflow,
            configured=state.workflow in view.configured,
            wanted=view.specs[state.workflow],
            state=state,
        )
        for state in view.workflows
    ]


def _node(node: core.NodeView, said: WorkerState) -> NodeTelemetry:
    return NodeTelemetry(
        worker=node.worker,
        online=node.online,
        host=said.host,
        hardware=said.hardware,
        software=said.software,
        serving=node.serving,
        task=node.task,
        workflows=node.workflows,
        capacity=dict(node.capacities),
        announced=said.tasks,
        round_trip=node.round_trip,
        availability=node.availability,
        load=said.load,
        temperature=said.temperature,
        memory_free=said.memory_free,
        energy=said.energy,
        window=said.window,
    )
