"""The listener of /websensor: scripts post a picture of a meter, anybody gets the latest one.

    POST /websensor            the bytes of a JPEG → {X-ACK} once it is stored durably, else {X-NACK}
    GET  /websensor            the latest picture as image/jpeg, or one sentence when there is none yet
    …    /websensor/<meter>    the same for each meter of hub.websensor.meters

The posting scripts know these two answers, print them, and do not try again. So it is waited for the disk
before it is answered, and the header X-Reason says more to whoever looks.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import platform
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from uvicorn import Config

from meerkat_contract.errors import MediaError, MeerkatError
from meerkat_contract.ids import format_time
from meerkat_hub.adapters.ingest import MEGABYTE
from meerkat_hub.adapters.websensor import Websensor
from meerkat_hub.settings import HubSettings

from .patience import PatientHttp
from .prompt import PromptServer
from .server import listen

if TYPE_CHECKING:
    from meerkat_hub.application import Hub

log = logging.getLogger("meerkat.hub")

ACK, NACK = "{X-ACK}", "{X-NACK}"
NOTHING_YET = "Meter image will be provided within an hour. Please try again later"
"""Word for word what these scripts' first server said; programs compare with it."""

UPLOADS = 4
"""Pictures read into memory at a time; further ones wait in their connections."""

REQUESTS = 64
"""At a time; further ones are told to come again."""

UPLOAD_SECONDS = 60.0

DRAIN = 3
"""Times the limit of a picture: so much of one that is too large is still read, and dropped, since a
sender that cannot finish sending does not read the answer."""


class _Refused(Exception):
    """A picture that is not taken: a status, why, and whether its bytes are still on their way."""

    def __init__(self, status: int, reason: str, *, unread: bool = True) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.unread = unread


def create_app(websensor: Websensor, *, token: str, max_bytes: int) -> Starlette:
    """The application; `max_bytes` of a picture."""
    door = _Door(websensor, token, max_bytes)
    paths = ("/websensor", "/websensor/{meter}")
    return Starlette(
        routes=[
            *(Route(path, door.post, methods=["POST"]) for path in paths),
            *(Route(path, door.get, methods=["GET"]) for path in paths),
        ],
        exception_handlers={Exception: _fault},
    )


class _Door:
    """Who may come in, how many at a time, and what they are told."""

    def __init__(self, websensor: Websensor, token: str, max_bytes: int) -> None:
        self._websensor = websensor
        self._token = token
        self._max_bytes = max_bytes
        self._uploads = asyncio.Semaphore(UPLOADS)
        self._asking: set[Request] = set()

    async def post(self, request: Request) -> Response:
        try:
            meter = self._admit(request)
            if not _same_origin(request):
                raise _Refused(403, "pages of other web sites may not post here")
            if request.headers.get("content-type", "").startswith("multipart/"):
                raise _Refused(415, "a form was posted: send the bytes themselves, curl --data-binary @file")
            with _counted(self._asking, request):
                async with self._uploads:
                    jpeg = await _body(request, self._max_bytes)
                    await run_in_threadpool(self._websensor.take, meter, jpeg)
        except _Refused as refused:
            log.warning("websensor: %s answered to %s: %s", NACK, _peer(request), refused.reason)
            if refused.unread:
                await _drop(request, self._max_bytes)
            return _nack(refused.status, refused.reason)
        except ClientDisconnect:
            log.warning("websensor: %s hung up before its picture was whole", _peer(request))
            return _nack(400, "hung up")
        except MeerkatError as error:  # told by who raised it
            status = 415 if isinstance(error, MediaError) else 503
            return _nack(status, f"{error.what}. {error.remedy}")
        return PlainTextResponse(ACK)

    async def get(self, request: Request) -> Response:
        try:
            meter = self._admit(request)
            with _counted(self._asking, request):
                latest = await run_in_threadpool(self._websensor.latest, meter)
        except _Refused as refused:
            return PlainTextResponse(refused.reason, refused.status)
        except MeerkatError as error:
            log.error("websensor: %s", error)
            return PlainTextResponse(f"{error.what}. {error.remedy}", 503)
        if latest is None:
            return PlainTextResponse(NOTHING_YET, headers={"Cache-Control": "no-store"})
        headers = {"Cache-Control": "no-store", "X-Captured-At": format_time(latest.captured_at)}
        return Response(latest.jpeg, media_type="image/jpeg", headers=headers)

    def _admit(self, request: Request) -> str:
        """The meter that is meant. Raises _Refused."""
        if self._token and not _knows(request, self._token):
            raise _Refused(401, "the token is missing or wrong: add ?token=... to the address, or X-Token")
        meter = request.path_params.get("meter", self._websensor.meters[0])
        if meter not in self._websensor.meters:
            raise _Refused(404, "there is no such meter: hub.websensor.meters names them")
        return str(meter)


@contextmanager
def posted_pictures(hub: Hub, settings: HubSettings) -> Iterator[str]:
    """Listen while the block runs, if it is enabled; gives the address, or an empty text.

    Raises UsageError when the port cannot be had.
    """
    websensor, own = hub.websensor, settings.websensor
    if websensor is None:
        yield ""
        return
    with listen(own.host, own.port, setting="hub.websensor in meerkat.yaml") as listener:
        app = create_app(
            websensor, token=own.token, max_bytes=round(settings.max_picture_megabytes * MEGABYTE)
        )
        server = PromptServer(
            Config(
                app,
                log_level="warning",
                access_log=False,
                server_header=False,
                loop="asyncio",
                lifespan="off",
                ws="none",
                http=PatientHttp,
                timeout_graceful_shutdown=1,
            )
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="websensor")
        thread.start()
        host = platform.node() if own.host in ("0.0.0.0", "::") else own.host
        address = f"http://{host}:{listener.getsockname()[1]}/websensor"
        log.info("websensor: pictures can be posted to %s%s", address, "" if own.token else ", by anybody")
        try:
            yield address
        finally:
            server.should_exit = True
            thread.join(10)


@contextmanager
def _counted(asking: set[Request], request: Request) -> Iterator[None]:
    """Raises _Refused when too many are being answered."""
    if len(asking) >= REQUESTS:
        raise _Refused(503, "too many ask at a time: come again in a minute")
    asking.add(request)
    try:
        yield
    finally:
        asking.discard(request)


async def _body(request: Request, limit: int) -> bytes:
    """What is posted. Raises _Refused when it is more than `limit` bytes or takes too long."""
    too_large = _Refused(413, f"larger than {limit / MEGABYTE:g} MB, hub.max_picture_megabytes", unread=False)
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit * (1 + DRAIN):
        raise too_large
    body, size = bytearray(), 0
    try:
        async with asyncio.timeout(UPLOAD_SECONDS):
            async for chunk in request.stream():
                size += len(chunk)
                if size <= limit:
                    body += chunk
                else:
                    body.clear()
                    if size > limit * (1 + DRAIN):
                        break
    except TimeoutError:
        raise _Refused(408, f"not whole after {UPLOAD_SECONDS:g} s", unread=False) from None
    if size > limit:
        raise too_large
    return bytes(body)


async def _drop(request: Request, limit: int) -> None:
    """Read what nobody wants, up to `limit` bytes: a sender that is cut off does not read the answer."""
    left = limit
    with suppress(TimeoutError, ClientDisconnect):
        async with asyncio.timeout(UPLOAD_SECONDS):
            async for chunk in request.stream():
                left -= len(chunk)
                if left < 0:
                    return


def _knows(request: Request, token: str) -> bool:
    bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
    given = (request.query_params.get("token", ""), request.headers.get("x-token", ""), bearer)
    return any(hmac.compare_digest(word.encode(), token.encode()) for word in given)


def _same_origin(request: Request) -> bool:
    """Browsers say from which page a request comes; scripts say nothing."""
    origin = request.headers.get("origin")
    return origin is None or origin.partition("://")[2] == request.headers.get("host", "")


def _nack(status: int, reason: str) -> Response:
    plain = "".join(letter if " " <= letter <= "~" else "?" for letter in reason)
    return PlainTextResponse(NACK, status, headers={"X-Reason": plain[:300].strip()})


async def _fault(_request: Request, error: Exception) -> Response:
    """A mistake of ours, which uvicorn logs: the script hears what it understands all the same."""
    return _nack(500, f"the hub made a mistake: {type(error).__name__}")


def _peer(request: Request) -> str:
    return request.client.host if request.client else "somebody"
