"""The hub's HTTP API as one FastAPI application."""

from __future__ import annotations

from importlib.metadata import version

from fastapi import FastAPI

from meerkat_hub.adapters.meter_queries import MeterQueries
from meerkat_hub.adapters.queries import Queries
from meerkat_hub.application import Hub
from meerkat_hub.settings import HubSettings

from . import (
    problems,
    routes_blueprints,
    routes_burst,
    routes_cameras,
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
from .parts import Parts, provide
from .password import Password

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


API = (
    routes_events,
    routes_clips,
    routes_devices,
    routes_cameras,
    routes_meters,
    routes_meter_setup,
    routes_settings,
    routes_people,
    routes_workflows,
    routes_burst,
    routes_models,
    routes_hub,
)
"""In the order of the documentation."""


def create_app(hub: Hub, settings: HubSettings, fanout: Fanout | None = None) -> FastAPI:
    """The application over a hub that is built; the hub need not have been started."""
    release = version("meerkat-home")
    app = FastAPI(
        title="Meerkat", version=release, description=ABOUT, openapi_tags=TAGS, docs_url=None, redoc_url=None
    )
    queries, histories = Queries(hub.engine), MeterQueries(hub.engine)
    provide(app, Parts(hub, queries, histories, fanout or Fanout(hub.live), release))
    problems.install(app)
    if settings.ingress_from is not None:
        app.add_middleware(Ingress, peer=str(settings.ingress_from))
    elif settings.own_password != "":
        app.add_middleware(Password, data=hub.data, own=settings.own_password)
    # Who comes by the ingress names Home Assistant as the host, and nobody else gets in.
    local = settings.ingress_from is None and is_loopback(settings.http_host)
    app.add_middleware(Guard, local=local)
    for module in API:
        app.include_router(module.router)
    app.include_router(routes_blueprints.routes())
    app.include_router(routes_page.routes())
    return app
