"""The page within Home Assistant: its ingress lets people in, and we let in nobody but the ingress.

Home Assistant asks who somebody is, then passes the request on without the path's first part,
`/api/hassio_ingress/<token>`, and says that part in X-Ingress-Path. The page itself has relative
addresses only; what remains is where an answer names an address: a redirect, and the API's own
description. Behind the port is no password, so whoever else reaches it in Home Assistant's internal
network is turned away.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .models import Problem
from .problems import answer

HEADER = "X-Ingress-Path"

_PREFIX = re.compile(r"(/[\w.~-]+)+")


class Ingress:
    """ASGI middleware. `peer`: the address of the only one who may connect."""

    def __init__(self, app: ASGIApp, *, peer: str) -> None:
        self._app = app
        self._peer = ipaddress.ip_address(peer)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if not self._lets_in(scope):
            await answer(403, self._refusal(scope))(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get(HEADER, "").rstrip("/")
        prefix = given if _PREFIX.fullmatch(given) else ""

        async def send_prefixed(message: Message) -> None:
            if message["type"] == "http.response.start":
                answered = MutableHeaders(scope=message)
                if "location" in answered:
                    answered["location"] = _outside(answered["location"], headers.get("host", ""), prefix)
            await send(message)

        await self._app({**scope, "root_path": prefix}, receive, send_prefixed)

    def _lets_in(self, scope: Scope) -> bool:
        try:
            client = ipaddress.ip_address((scope.get("client") or ("", 0))[0])
        except ValueError:
            return False
        # `meerkat up` asks from within whether the page serves; the answer says nothing of the house.
        return client == self._peer or (client.is_loopback and scope["path"] == "/healthz")

    def _refusal(self, scope: Scope) -> Problem:
        client = (scope.get("client") or ("somebody unknown", 0))[0]
        return Problem(
            what=f"{client} may not open this page: only Home Assistant's ingress, {self._peer}, may",
            where="hub.ingress_from",
            remedy="Open Meerkat in Home Assistant's side bar",
        )


def _outside(location: str, host: str, prefix: str) -> str:
    """Where a redirect leads, as the browser must ask for it; what leads elsewhere stays as it is."""
    parts = urlsplit(location)
    if (parts.netloc and parts.netloc != host) or not parts.path.startswith("/"):
        return location
    return prefix + parts._replace(scheme="", netloc="").geturl()
