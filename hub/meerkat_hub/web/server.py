"""Serving the page and the API until the process is told to stop."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.responses import JSONResponse
from uvicorn import Config, Server

from meerkat_hub.settings import HubSettings

if TYPE_CHECKING:
    from meerkat_hub.application import Hub

log = logging.getLogger("meerkat.hub")


def serve(hub: Hub, settings: HubSettings) -> None:
    """Run the HTTP server in this thread until SIGINT or SIGTERM."""
    app = FastAPI(title="Meerkat")

    @app.get("/healthz")
    def healthz() -> JSONResponse:
        failure = hub.service.failure
        if failure is not None:
            return JSONResponse({"ok": False, "reason": str(failure)}, status_code=503)
        if not hub.live.connected:
            return JSONResponse({"ok": False, "reason": "not connected to the broker"}, status_code=503)
        return JSONResponse({"ok": True})

    Server(
        Config(
            app,
            host=settings.http_host,
            port=settings.http_port,
            log_level="warning",
            access_log=False,
            loop="asyncio",
            lifespan="off",
            timeout_graceful_shutdown=2,
        )
    ).run()
