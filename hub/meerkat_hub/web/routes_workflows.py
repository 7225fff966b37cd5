"""Workflows: ask for one, see how all stand, end one; and the nodes on which they run."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from meerkat_contract.ids import NAME_PATTERN
from meerkat_contract.messages import WorkerState, WorkflowState
from meerkat_hub.adapters.desk import Desk
from meerkat_hub.adapters.queries import Filter
from meerkat_hub.application import Hub
from meerkat_hub.core import workflow_records as core

from . import overview
from .models import EventPage, NodeTelemetry, Problem, WorkflowProblem, WorkflowRequest, WorkflowView
from .parameters import SliceQuery
from .parts import TheDesk, TheHub, TheQueries
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
    "capacity": "Where a model is fetched, ask again in a minute; else start a worker that offers these "
    "tasks, or ask for fewer frames; with `wait` it is tried again whenever nodes change",
    "delay": "Allow more delay, or start a faster worker; with `wait` it is tried again whenever nodes "
    "change",
    "decision": "The hub decides upon orchestrator.decisions_per_second frames of all workflows together: "
    "ask for fewer, or allow more",
}
_SHARE = ". With orchestrator.reserve: 0 clips of motion and workflows share the workers"

router = APIRouter(prefix="/api", tags=["workflows"], responses=_SILENT)


def _find(request: Request, desk: Desk, hub: Hub, name: str) -> WorkflowView:
    """Raises ApiError 404."""
    found = [one for one in _views(desk.view(), hub) if one.id == name]
    if not found:
        remedy = "GET /api/workflows lists what there is"
        raise ApiError(404, f"there is no workflow {name}", where=request.url.path, remedy=remedy)
    return found[0]


@router.get("/workflows", summary="List workflows")
def listed(desk: TheDesk, hub: TheHub) -> list[WorkflowView]:
    """All that are wanted: as they were asked for, and how they stand."""
    return _views(desk.view(), hub)


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
def ask(
    request: Request, response: Response, desk: TheDesk, hub: TheHub, body: WorkflowRequest
) -> WorkflowView:
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
    return _view(state, body.spec, hub, configured=False)


@router.get("/workflows/{name}", summary="One workflow", responses=NOT_FOUND)
def one(request: Request, desk: TheDesk, hub: TheHub, name: WorkflowPath) -> WorkflowView:
    """As it was asked for, how it stands, on which nodes, and what became of its frames."""
    return _find(request, desk, hub, name)


@router.get("/workflows/{name}/events", summary="A workflow's events", responses=NOT_FOUND)
def events(
    *, request: Request, queries: TheQueries, desk: TheDesk, hub: TheHub, part: SliceQuery, name: WorkflowPath
) -> EventPage:
    """What it decided, newest first; also of a workflow that has ended, as long as an event of it is kept."""
    found = queries.events(Filter(workflow=name, **part.of_query))
    if not found and not queries.events(Filter(workflow=name, limit=1)):
        _find(request, desk, hub, name)
    page, last = part.page(found, lambda event: (event.state.start_time, event.state.id))
    return EventPage(events=[event_view(stored) for stored in page], next=last)


@router.delete(
    "/workflows/{name}",
    summary="End a workflow",
    status_code=204,
    responses={**NOT_FOUND, **_CONFIGURED},
)
def end(request: Request, desk: TheDesk, name: WorkflowPath) -> Response:
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
def nodes(desk: TheDesk, hub: TheHub) -> list[NodeTelemetry]:
    """Workers with their telemetry, what the hub has measured, and what they serve."""
    said = {worker.worker: worker for worker in overview.workers(hub)}
    return [_node(node, said[node.worker]) for node in desk.view().nodes if node.worker in said]


def _views(view: core.View, hub: Hub) -> list[WorkflowView]:
    return [
        _view(state, view.specs[state.workflow], hub, configured=state.workflow in view.configured)
        for state in view.workflows
    ]


def _view(state: WorkflowState, wanted: core.WorkflowSpec, hub: Hub, *, configured: bool) -> WorkflowView:
    devices = hub.live.devices.copy()
    there = {f"{name}/{camera.name}" for name, device in devices.items() for camera in device.cameras}
    unknown = tuple(camera for camera in wanted.cameras if camera not in there)
    return WorkflowView(
        id=state.workflow, configured=configured, wanted=wanted, state=state, unknown_cameras=unknown
    )


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
