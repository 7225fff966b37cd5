"""What every request must pass, and what every answer says to the browser.

A page on any web site may send requests to a server on this machine. Against that: on loopback the
Host must be this machine (DNS rebinding), what changes anything must be JSON (which a foreign page
may not send without being asked for leave, and nobody gives it), and no answer allows other origins.
"""

from __future__ import annotations

import ipaddress
import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .models import Problem
from .problems import answer

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
}

_HOST = re.compile(r"(?P<name>\[[0-9a-fA-F:.]+\]|[^:]+)(:\d{1,5})?")


def is_loopback(host: str) -> bool:
    """Whether an address to listen on is reached from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def names_this_machine(host_header: str) -> bool:
    match = _HOST.fullmatch(host_header.strip())
    return match is not None and is_loopback(match["name"].lower().strip("[]").rstrip("."))


class Guard:
    """ASGI middleware. `local`: the server listens on loopback only."""

    def __init__(self, app: ASGIApp, *, local: bool) -> None:
        self._app = app
        self._local = local

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._refuse(scope)
        if refusal is None:
            await self._app(scope, receive, send_guarded)
        else:
            await answer(*refusal)(scope, receive, send_guarded)

    def _refuse(self, scope: Scope) -> tuple[int, Problem] | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self._local and not names_this_machine(host):
            remedy = (
                "Use http://localhost or 127.0.0.1. For other names, let hub.http_host open the page, "
                "or have your proxy set the Host header"
            )
            return 421, Problem(what=f"{host[:80]!r} is not this machine", where="Host", remedy=remedy)
        if scope["method"] in ("POST", "PUT", "PATCH", "DELETE"):
            kind = headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind != "application/json":
                remedy = "Send JSON with Content-Type: application/json"
                return 415, Problem(
                    what=f"{kind[:80]!r} is not accepted", where="Content-Type", remedy=remedy
                )
        return None
