"""What endpoints work with: each names the parts of the hub that it needs among its parameters.

    @router.get("/labels")
    def labels(queries: TheQueries) -> list[str]: ...

A part is looked up anew for every request, so that it is always the hub's present one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request

from meerkat_hub.adapters.desk import Desk
from meerkat_hub.adapters.live import Live
from meerkat_hub.adapters.media import MediaFolder
from meerkat_hub.adapters.meter_queries import MeterQueries
from meerkat_hub.adapters.people_store import PeopleStore
from meerkat_hub.adapters.queries import Queries
from meerkat_hub.application import Hub

from .fanout import Fanout


@dataclass(frozen=True, slots=True)
class Parts:
    """The hub, and what only its web side has. release: version of the software."""

    hub: Hub
    queries: Queries
    histories: MeterQueries
    fanout: Fanout
    release: str


def provide(app: FastAPI, parts: Parts) -> None:
    """Let the endpoints of this application have these parts."""
    app.state.parts = parts


def _part(choose: Callable[[Parts], object]) -> Any:
    """What stands behind a parameter."""

    # It waits for nothing; a function that is not async would cost every request a turn on a thread.
    async def chosen(request: Request) -> object:
        return choose(request.app.state.parts)

    return Depends(chosen)


TheParts = Annotated[Parts, _part(lambda parts: parts)]
TheHub = Annotated[Hub, _part(lambda parts: parts.hub)]
TheDesk = Annotated[Desk, _part(lambda parts: parts.hub.desk)]
TheLive = Annotated[Live, _part(lambda parts: parts.hub.live)]
TheMedia = Annotated[MediaFolder, _part(lambda parts: parts.hub.media)]
ThePeople = Annotated[PeopleStore, _part(lambda parts: parts.hub.people)]
TheQueries = Annotated[Queries, _part(lambda parts: parts.queries)]
TheHistories = Annotated[MeterQueries, _part(lambda parts: parts.histories)]
TheFanout = Annotated[Fanout, _part(lambda parts: parts.fanout)]
