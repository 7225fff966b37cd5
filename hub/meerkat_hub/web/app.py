"""The hub's HTTP API as one FastAPI application."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

from fastapi import FastAPI

from meerkat_hub.adapters.meter_queries import MeterQueries
from meerkat_hub.adapters.queries import Queries
from meerkat_hub.settings import HubSettings

from . import (
    overview,
    problems,
    routes_blueprints,
    routes_burst,
    routes_clips,
    routes_devices,
    routes_events,
    routes_hub,
    routes_meter_setup,
    routes_meters,
    routes_models,
    routes_page,
    routes_people,
    routes_settings,
    routes_workflows,
)
from .fanout import Fanout
from .guard import Guard, is_loopback
from .ingress import Ingress

if TYPE_CHECKING:
    from meerkat_hub.application import Hub

ABOUT = """Events, clips, pictures, devices and workers of one Meerkat hub.

Times are RFC 3339 in UTC. Ids are UUIDs. Boxes are (x, y, width, height) in fractions of the picture,
the origin at the top left. Every error is a `Problem`: what is wrong, where, and the remedy.
"""

TAGS = [
    {"name": "events", "description": "What was seen."},
    {"name": "clips", "description": "What was recorded, and how looking at it ended."},
    {"name": "devices", "description": "Cameras and meters."},
    {"name": "meters", "description": "What meters read, and where their wheels are."},
    {"name": "people", "description": "Who can be recognised."},
    {"name": "workflows", "description": "What is watched for, and the nodes on which it runs."},
    {"name": "cloud", "description": "What is looked at outside of the house, and what it costs."},
    {"name": "hub", "description": "The hub itself."},
]


def create_app(hub: Hub, settings: HubSettings, fanout: Fanout | None = None) -> FastAPI:
    """The application over a hub that is built; the hub need not have been started."""
    release = version("meerkat-home")
    app = FastAPI(
        title="Meerkat", version=release, description=ABOUT, openapi_tags=TAGS, docs_url=None, redoc_url=None
    )
    queries, fanout = Queries(hub.engine), fanout or Fanout(hub.live)
    problems.install(app)
    if settings.ingress_from is not None:
        app.add_middleware(Ingress, peer=str(settings.ingress_from))
    # Who comes by the ingress names Home Assistant as the host, and nobody else gets in.
    local = settings.ingress_from is None and is_loopback(settings.http_host)
    app.add_middleware(Guard, local=local)
    app.include_router(routes_events.routes(queries, hub.media))
    app.include_router(routes_clips.routes(queries, hub.media, lambda: hub.annotated))
    app.include_router(routes_devices.routes(queries, hub.media, hub.live))
    histories = MeterQueries(hub.engine)
    app.include_router(routes_meters.routes(hub.desk, queries, histories, hub.media, hub.live))
    app.include_router(routes_meter_setup.routes(hub.desk, queries))
    app.include_router(routes_settings.routes(hub.live, hub.bus.command))
    app.include_router(routes_people.routes(hub.people))
    app.include_router(routes_workflows.routes(hub.desk, queries, lambda: overview.workers(hub)))
    app.include_router(routes_burst.routes(hub.desk, queries, hub.service.happened))
    app.include_router(routes_models.routes())
    app.include_router(routes_hub.routes(hub, queries, fanout, release))
    app.include_router(routes_blueprints.routes())
    app.include_router(routes_page.routes())
    return app
