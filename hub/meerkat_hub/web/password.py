"""The page's one password, which other machines are asked for.

Nothing is asked of this machine itself: of who connects over loopback, calls it by its own name (a foreign
page that has led its name here, DNS rebinding, does not) and was sent on by nobody (X-Forwarded-For). All
others send the cookie of the login page, the password as a bearer's token, or as HTTP's basic login with any
user. Open to all stay health, the page's own files, blueprints and models, which hold nothing of the house;
and the picture of an event for whoever knows the event's id, 74 random bits that only page and bus tell:
phones show it in a notification, and cannot log in.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
import json
import logging
import re
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request, cookie_parser
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from meerkat_contract.errors import MeerkatError
from meerkat_contract.page_password import PagePassword, keep_page_password, password_file

from .guard import names_this_machine
from .models import Problem
from .problems import answer

log = logging.getLogger("meerkat.hub")

COOKIE = "meerkat"
MARK = "meerkat_login"
"""Says to the page's scripts, which may not read the other, that there is something to log out of."""
DAYS = 90
TRIES = 10
"""Wrong passwords that an address may send within a minute."""
MINUTE = 60.0
ADDRESSES = 1000
"""Of which it is remembered at most."""
LARGEST_LOGIN = 4096

_SENT_ON = {b"x-forwarded-for", b"forwarded", b"x-forwarded-host", b"x-real-ip", b"via"}
_OPEN = re.compile(
    r"/healthz|/static/[^/]+|/blueprints(/[^/]*)?|/api/models/[0-9a-f]{64}|/api/events/[0-9a-f-]{36}/picture"
)
_PAGE = (Path(__file__).parent / "static" / "login.html").read_text()
_HOW = "Send the header Authorization: Bearer PASSWORD. `meerkat password` on the hub's machine shows it"


class Tries:
    """How often each address was wrong. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._wrong: dict[str, tuple[float, int]] = {}

    def wait(self, address: str) -> float:
        """Seconds until the address may try again; 0 when it may now."""
        since, count = self._wrong.get(address, (0.0, 0))
        left = since + MINUTE - self._clock()
        return left if count >= TRIES and left > 0 else 0.0

    def wrong(self, address: str) -> None:
        """Take note of a wrong password, and tell of the first one of a minute."""
        now = self._clock()
        since, count = self._wrong.get(address, (now, 0))
        if now - since >= MINUTE:
            since, count = now, 0
        if count == 0:
            log.warning("page: wrong password from %s", address)
            self._wrong.pop(address, None)
            while len(self._wrong) >= ADDRESSES:
                del self._wrong[next(iter(self._wrong))]
        self._wrong[address] = since, count + 1


class Kept:
    """The password in force: that of the settings, else the one that is kept, read anew when changed."""

    def __init__(self, data: Path, own: str | None) -> None:
        self._data, self._own = data, own
        self._stamp = (0, 0)
        self._kept: PagePassword | None = None

    def now(self) -> PagePassword:
        """Raises MeerkatError when it can neither be read nor made."""
        try:
            stat = password_file(self._data).stat()
            stamp = stat.st_mtime_ns, stat.st_ino
        except OSError:
            stamp = 0, 0
        if self._kept is None or stamp != self._stamp:
            kept, self._stamp = keep_page_password(self._data), stamp
            self._kept = PagePassword(self._own, kept.key) if self._own else kept
        return self._kept


class Password:
    """ASGI middleware. `own`: the password of the settings, None for the one that is kept in `data`."""

    def __init__(self, app: ASGIApp, *, data: Path, own: str | None = None) -> None:
        self._app = app
        self._kept = Kept(data, own)
        self._tries = Tries()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        method = scope.get("method", "")
        if method == "POST" and path in ("/login", "/logout"):
            act = self._login if path == "/login" else self._logout
            await (await act(Request(scope, receive)))(scope, receive, send)
            return
        if is_here(scope) or (method in ("GET", "HEAD") and _OPEN.fullmatch(path)):
            await self._app(scope, receive, send)
            return
        try:
            refused = self._refuse(scope, path)
        except MeerkatError as error:
            log.error("%s", error)
            refused = answer(503, Problem(what=error.what, where=error.where, remedy=error.remedy))
        if refused is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await refused(scope, receive, send)

    def _refuse(self, scope: Scope, path: str) -> Response | None:
        headers = Headers(scope=scope)
        kept = self._kept.now()
        cookies = cookie_parser(headers.get("cookie", ""))
        if is_signed(cookies.get(COOKIE, ""), kept):
            return None
        given = _given(headers.get("authorization", ""))
        if given is not None:
            return self._try(scope, given, kept)
        if path == "/" and scope.get("method") in ("GET", "HEAD"):
            return HTMLResponse(_PAGE, 401, headers={"Cache-Control": "no-store"})
        return _unknown("this asks other machines for the house's password", path, _HOW)

    def _try(self, scope: Scope, given: str, kept: PagePassword) -> Response | None:
        """None when the password is right."""
        address = _address(scope)
        if wait := self._tries.wait(address):
            problem = Problem(
                what=f"{address} has sent too many wrong passwords",
                where=scope["path"],
                remedy=f"Wait {wait:.0f} seconds",
            )
            return answer(429, problem, {"Retry-After": f"{wait:.0f}", "Cache-Control": "no-store"})
        if hmac.compare_digest(given.encode(), kept.word.encode()):
            return None
        self._tries.wrong(address)
        remedy = "`meerkat password` on the hub's machine shows it, or its setting hub.password"
        return _unknown("this is not the password", scope["path"], remedy)

    async def _login(self, request: Request) -> Response:
        try:
            given = str(json.loads(await _body(request))["password"])
        except (ValueError, KeyError, TypeError):
            return answer(422, Problem(what="no password was sent", remedy='Send {"password": "…"} as JSON'))
        except ClientDisconnect:
            return Response(status_code=400)
        try:
            kept = self._kept.now()
        except MeerkatError as error:
            log.error("%s", error)
            return answer(503, Problem(what=error.what, where=error.where, remedy=error.remedy))
        refused = self._try(request.scope, given, kept)
        return refused or _with_cookies(signed(kept, time.time() + DAYS * 86_400), request, DAYS * 86_400)

    async def _logout(self, request: Request) -> Response:
        return _with_cookies("", request, 0)


def is_here(scope: Scope) -> bool:
    """Whether this machine itself asks, over loopback and for itself."""
    client = scope.get("client")
    if client is None or not _is_loopback(client[0]):
        return False
    host = ""
    for name, value in scope["headers"]:
        if name in _SENT_ON:
            return False
        if name == b"host":
            host = value.decode("latin-1")
    return _names_this_machine(host)


def signed(kept: PagePassword, until: float) -> str:
    """A login that ends at `until`, a POSIX time, or when the password is another."""
    return f"{int(until)}.{_signature(int(until), kept)}"


def is_signed(cookie: str, kept: PagePassword) -> bool:
    until, _, signature = cookie.partition(".")
    if not (until.isascii() and until.isdecimal() and len(until) < 16 and signature.isascii()):
        return False
    good = hmac.compare_digest(signature, _signature(int(until), kept))
    return good and int(until) > time.time()


def _signature(until: int, kept: PagePassword) -> str:
    text = f"{until} {kept.word}".encode()
    return hmac.new(bytes.fromhex(kept.key), text, hashlib.sha256).hexdigest()


def _with_cookies(value: str, request: Request, seconds: int) -> Response:
    response = Response(status_code=204, headers={"Cache-Control": "no-store"})
    secure = request.url.scheme == "https"
    response.set_cookie(COOKIE, value, seconds, httponly=True, samesite="lax", secure=secure)
    response.set_cookie(MARK, "1" if value else "", seconds, samesite="lax", secure=secure)
    return response


def _given(authorization: str) -> str | None:
    """The password of a header, whoever the user; None when there is none."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return None


def _unknown(what: str, where: str, remedy: str) -> Response:
    # Not Basic, although it is understood: browsers would show a dialog of their own.
    headers = {"WWW-Authenticate": 'Bearer realm="Meerkat"', "Cache-Control": "no-store"}
    return answer(401, Problem(what=what, where=where, remedy=remedy), headers)


def _address(scope: Scope) -> str:
    """Whom tries are counted for. Of IPv6 the network: a machine has all of its addresses."""
    host = str((scope.get("client") or ("somebody",))[0])
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.version == 6 and address.ipv4_mapped is None:
        return str(ipaddress.ip_network((int(address), 64), strict=False))
    return host


async def _body(request: Request) -> bytes:
    """Raises ValueError when it is too long to hold a password."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_LOGIN:
            raise ValueError("too long")
    return body


@lru_cache(64)
def _is_loopback(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if address.version == 6 else None
    return (mapped or address).is_loopback


_names_this_machine = lru_cache(64)(names_this_machine)
