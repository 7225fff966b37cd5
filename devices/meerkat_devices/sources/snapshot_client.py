"""One picture from an HTTP address: a GET, bounded in time and size, with basic and digest login.

Everything that can go wrong is a SourceError without the address's password or query.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from email.message import Message
from hashlib import md5, sha1, sha256
from http.client import HTTPException, HTTPResponse, InvalidURL
from typing import IO, Any, Literal, NamedTuple
from urllib import request
from urllib.error import HTTPError, URLError
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from meerkat_devices.clock import Clock
from meerkat_devices.settings.address import Address
from meerkat_devices.settings.sources import DEFAULTS, SourceOptions

from .source import LoginRefused, SourceError
from .timed_http import TimedHttp, TimedHttps

TIMEOUT = 10.0
"""Seconds for the connection, then for the whole of the answer."""

MAX_BYTES = 20_000_000
"""Of one picture. A 12-megapixel JPEG has some 6 MB."""

MAX_PIXELS = 50_000_000

JPEG, PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"

_MANUAL = "The camera's manual names the address of its still picture (snapshot)"
_NETWORK = "Is the camera on, and in this network?"


class NotHttp(SourceError):
    """The other side does not speak HTTP as libraries know it; libav is more lenient."""


class Fetched(NamedTuple):
    """A picture as it came: a whole JPEG or PNG by its first and last bytes."""

    data: bytes
    captured: datetime
    """When the answer began, which is as near as one gets."""

    @property
    def codec(self) -> Literal["mjpeg", "png"]:
        return "png" if self.data.startswith(PNG) else "mjpeg"


class SnapshotClient:
    """Used by one thread."""

    def __init__(self, address: Address, *, clock: Clock, options: SourceOptions = DEFAULTS) -> None:
        self._address = address
        self._clock = clock
        self._url, user, password = _apart(address)
        self._has_login = bool(user)
        self._opener = _opener(self._url, user, password, verify=options.verify_certificate)

    def gives_pictures(self) -> bool:
        """Whether the address answers with one picture, rather than with a stream. Raises SourceError."""
        with self._get() as response:
            kind = response.headers.get_content_type()
            if kind in ("text/html", "application/xhtml+xml"):
                raise self._web_page()
            if kind == "application/octet-stream" and response.headers.get("Content-Length"):
                return _is_picture(response.read(len(PNG)))
            return kind.startswith("image/")

    def fetch(self) -> Fetched:
        """Pull one picture. Raises SourceError."""
        with self._get() as response:
            captured = self._clock.now()
            data = self._body(response)
            if not _is_picture(data):
                raise self._no_picture(response.headers.get_content_type(), data)
            length = response.headers.get("Content-Length", "")
            cut = length.isdecimal() and len(data) < int(length)
            if cut or (data.startswith(JPEG) and data.rfind(b"\xff\xd9") < 0):
                raise self._error("the picture is cut off", "Is the network good enough, Wi-Fi above all?")
            return Fetched(data, captured)

    # --- the request --------------------------------------------------------------------------------

    def _get(self) -> HTTPResponse:
        asked = request.Request(self._url, headers={"User-Agent": "meerkat", "Accept": "*/*"})
        try:
            response: HTTPResponse = self._opener.open(asked, timeout=TIMEOUT)
        except HTTPError as error:
            with error:
                raise self._refused(error.code, str(error.reason), error.url or self._url) from None
        except URLError as error:
            raise self._unreachable(error.reason) from None
        except OSError as error:
            raise self._unreachable(error) from None
        except InvalidURL:
            raise self._error("is not an address that can be asked for", _MANUAL) from None
        except HTTPException:
            kind = NotHttp("does not answer like a web server", where=str(self._address), remedy=_MANUAL)
            raise kind from None
        except UnicodeError:  # a name that no name server could be asked for
            raise self._unreachable(socket.gaierror()) from None
        except ValueError:  # urllib's way to say that it does not know a login
            raise self._error(
                "asks for a login that is not known here",
                "Choose basic, or digest with MD5 or SHA-256, in the camera",
            ) from None
        return response

    def _body(self, response: HTTPResponse) -> bytes:
        """At most MAX_BYTES of it."""
        pieces: list[bytes] = []
        size = 0
        while True:
            try:
                piece = response.read1(65_536)
            except TimeoutError:
                raise self._error(f"the picture takes longer than {TIMEOUT:g} s", _NETWORK) from None
            except OSError as error:
                raise self._unreachable(error) from None
            except HTTPException:
                raise self._error("the picture is cut off", "Is the network good enough?") from None
            if not piece:
                return b"".join(pieces)
            pieces.append(piece)
            size += len(piece)
            if size > MAX_BYTES:
                raise self._error(
                    f"sends more than {MAX_BYTES / 1e6:g} MB, which is no picture",
                    "Is it a stream? Then write its address without snapshot:",
                )

    # --- what goes wrong ----------------------------------------------------------------------------

    def _error(self, what: str, remedy: str) -> SourceError:
        return SourceError(what, where=str(self._address), remedy=remedy)

    def _web_page(self) -> SourceError:
        return self._error(
            "answers with a web page, not with a picture", f"Is that its login page? {_MANUAL}"
        )

    def _no_picture(self, kind: str, data: bytes) -> SourceError:
        if not data:
            return self._error("answers with nothing", _MANUAL)
        if kind == "text/html" or data.lstrip()[:1] == b"<":
            return self._web_page()
        if kind.startswith("multipart/"):
            return self._error("is a stream, not a picture", "Write its address without snapshot:")
        return self._error(f"answers with {kind}, which is neither JPEG nor PNG", _MANUAL)

    def _refused(self, status: int, reason: str, url: str) -> SourceError:
        where = str(self._address)
        if status == 401 and not self._has_login:
            return LoginRefused(
                "the camera wants a user and a password", where=where, remedy="Write http://user:password@…"
            )
        if status == 401:
            remedy = "Write http://user:password@…, special characters as %40 for @"
            if (moved := str(Address("http", url))) and _origin(moved) != _origin(self._url):
                remedy = f"It sends on to {moved}: write that address, with user and password"
            return LoginRefused("the camera refuses the user or password", where=where, remedy=remedy)
        if status == 403:
            return LoginRefused(
                "the camera forbids access", where=where, remedy="Check the user's rights in the camera"
            )
        if status in (404, 410):
            return self._error("the camera has no such stream or picture", "Check the path in the address")
        if 300 <= status < 400:
            return self._error("sends on and on to other addresses", "Write the address that it ends at")
        words = "".join(letter for letter in reason if letter.isprintable())[:60]
        return self._error(f"the camera answers with an error: {status} {words}".rstrip(), _MANUAL)

    def _unreachable(self, reason: object) -> SourceError:
        match reason:
            case ssl.SSLCertVerificationError():
                return self._error(
                    f"its certificate is not to be trusted ({reason.verify_message})",
                    "Write http:// in a network that you trust, or set verify_certificate: false",
                )
            case ssl.SSLError():
                return self._error(f"no secure connection ({reason.reason})", "Does it speak HTTPS there?")
            case ConnectionRefusedError():
                return self._error("connection refused", "Is the camera on, and the port right?")
            case TimeoutError():
                return self._error("no answer", _NETWORK)
            case socket.gaierror():
                return self._error(
                    "there is no machine of this name", "Check the name, or write its IP address"
                )
            case ConnectionError():
                return self._error("the connection broke off", _NETWORK)
            case OSError():
                return self._error(reason.strerror or type(reason).__name__, _NETWORK)
            case _:
                return self._error("cannot be reached", _NETWORK)


def of_single_pictures(address: Address, *, clock: Clock, options: SourceOptions) -> bool:
    """Whether this is an address of single pictures; asks the camera where `http` leaves it open.

    Raises SourceError.
    """
    if address.kind == "http":
        with suppress(NotHttp):  # libav may understand it all the same
            return SnapshotClient(address, clock=clock, options=options).gives_pictures()
    return address.kind == "snapshot"


def damaged(address: Address) -> SourceError:
    """What came cannot be decoded."""
    return SourceError(
        "the picture is damaged, or larger than 50 megapixels",
        where=str(address),
        remedy="Look at it in a browser; set a smaller picture in the camera",
    )


def _is_picture(data: bytes) -> bool:
    return data.startswith((JPEG, PNG))


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme.lower(), parts.netloc.lower()


def _apart(address: Address) -> tuple[str, str, str]:
    """URL without its login, user, password."""
    parts = urlsplit(address.target)
    path, query = (quote(text, safe="/%:=&?~+!$,;'@()*[]|") for text in (parts.path or "/", parts.query))
    url = urlunsplit((parts.scheme.lower(), parts.netloc.rpartition("@")[2], path, query, ""))
    return url, unquote(parts.username or ""), unquote(parts.password or "")


def _opener(url: str, user: str, password: str, *, verify: bool) -> request.OpenerDirector:
    """HTTP and HTTPS alone: a camera must not be able to redirect us to a file."""
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    opener = request.OpenerDirector()
    handlers: list[request.BaseHandler] = [
        request.ProxyHandler(),
        request.UnknownHandler(),
        TimedHttp(),
        TimedHttps(context=context),
        request.HTTPDefaultErrorHandler(),
        request.HTTPRedirectHandler(),
        request.HTTPErrorProcessor(),
    ]
    if user:
        # Known for this host and port alone: where it redirects to hears no password.
        logins = request.HTTPPasswordMgrWithDefaultRealm()
        parts = urlsplit(url)
        logins.add_password(None, f"{parts.scheme}://{parts.netloc}/", user, password)
        handlers += [_Digest(logins), _Basic(logins)]
    for handler in handlers:
        opener.add_handler(handler)
    return opener


_HASHES = {"MD5": md5, "SHA": sha1, "SHA-256": sha256}


class _Digest(request.HTTPDigestAuthHandler):
    """Digest wherever it is offered, and a wrong password said once: the base would say it six times,
    which locks the user out of many a camera. SHA-256 as well (RFC 7616), and letters beyond ASCII."""

    def get_algorithm_impls(self, algorithm: str) -> Any:
        hashed = _HASHES.get(algorithm.upper())
        if hashed is None:
            raise ValueError(f"digest with {algorithm}")

        def digest(text: str) -> str:
            return hashed(text.encode()).hexdigest()

        return digest, lambda secret, data: digest(f"{secret}:{data}")

    def http_error_401(
        self, req: request.Request, fp: IO[bytes], code: int, msg: str, headers: Message
    ) -> Any:
        digest = _offer(headers, "digest")
        if not digest:
            return None  # basic's turn
        if req.has_header("Authorization") and "stale=true" not in digest.lower().replace('"', ""):
            return None
        chosen = Message()
        chosen["www-authenticate"] = digest
        self.reset_retry_count()
        with _closing_unless_last(fp) as answers:
            answers += [super().http_error_401(req, fp, code, msg, chosen)]  # type: ignore[arg-type]
        return answers[0]


class _Basic(request.HTTPBasicAuthHandler):
    """Only for those that know no digest: the password itself travels."""

    def http_error_401(
        self, req: request.Request, fp: IO[bytes], code: int, msg: str, headers: Message
    ) -> Any:
        if _offer(headers, "digest") or req.has_header("Authorization"):
            return None
        with _closing_unless_last(fp) as answers:
            answers += [super().http_error_401(req, fp, code, msg, headers)]  # type: ignore[arg-type]
        return answers[0]


@contextmanager
def _closing_unless_last(refusal: IO[bytes]) -> Iterator[list[Any]]:
    """Close the refusal when there is another answer, or none can be had; else it is what is reported."""
    answers: list[Any] = []
    try:
        yield answers
    finally:
        if answers != [None]:
            refusal.close()


def _offer(headers: Message, scheme: str) -> str:
    """What the camera asks for by this way of logging in."""
    offers: list[str] = headers.get_all("www-authenticate") or []
    return next((offer for offer in offers if offer.lower().startswith(scheme)), "")
