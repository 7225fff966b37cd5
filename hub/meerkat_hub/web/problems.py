"""Errors of the API: every one is a Problem {what, where, remedy} with the right status."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from meerkat_contract.errors import MeerkatError
from meerkat_contract.messages import WorkflowState

from .models import Problem, WorkflowProblem

log = logging.getLogger("meerkat.hub")


class ApiError(Exception):
    """Ends a request with a status and a Problem; of a workflow, with how it stands."""

    def __init__(
        self,
        status: int,
        what: str,
        *,
        where: str = "",
        remedy: str = "",
        workflow: WorkflowState | None = None,
    ) -> None:
        super().__init__(what)
        self.status = status
        self.problem = Problem(what=what, where=where, remedy=remedy)
        if workflow is not None:
            self.problem = WorkflowProblem(what=what, where=where, remedy=remedy, workflow=workflow)


BAD_QUERY: dict[int | str, dict[str, Any]] = {422: {"model": Problem, "description": "A parameter is wrong"}}
NOT_FOUND: dict[int | str, dict[str, Any]] = {
    404: {"model": Problem, "description": "There is none"},
    **BAD_QUERY,
}
REFUSED: dict[int | str, dict[str, Any]] = {503: {"model": Problem, "description": "The database refuses"}}


def answer(status: int, problem: Problem, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse(problem.model_dump(mode="json", by_alias=True), status_code=status, headers=headers)


def install(app: FastAPI) -> None:
    """Map every error of ours and of the framework."""

    @app.exception_handler(ApiError)
    async def ours(_request: Request, error: ApiError) -> JSONResponse:
        return answer(error.status, error.problem)

    @app.exception_handler(MeerkatError)
    async def product(_request: Request, error: MeerkatError) -> JSONResponse:
        log.error("%s", error)
        return answer(503, Problem(what=error.what, where=error.where, remedy=error.remedy))

    @app.exception_handler(RequestValidationError)
    async def validation(_request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = " ".join(str(part) for part in first["loc"])
        remedy = "openapi.json lists the parameters and their limits"
        return answer(422, Problem(what=str(first["msg"]), where=where, remedy=remedy))

    @app.exception_handler(HTTPException)
    async def framework(request: Request, error: HTTPException) -> JSONResponse:
        what = "there is nothing here" if error.status_code == 404 else str(error.detail)
        remedy = "openapi.json lists what there is" if error.status_code in (404, 405) else ""
        problem = Problem(what=what, where=request.url.path, remedy=remedy)
        return answer(error.status_code, problem, dict(error.headers or {}))

    @app.exception_handler(Exception)
    async def unforeseen(request: Request, _error: Exception) -> JSONResponse:
        remedy = "The hub's log says more; please report it"
        return answer(500, Problem(what="the hub made a mistake", where=request.url.path, remedy=remedy))
