"""A camera for tests that gives one picture for each GET, with basic or digest login (RFC 7616)."""

from __future__ import annotations

import base64
import hashlib
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.request import parse_http_list, parse_keqv_list

import cv2
import numpy as np

from support.media import background, square_at

Respond = Callable[[BaseHTTPRequestHandler], None]


def picture(
    progress: float | None = 0.0, *, size: tuple[int, int] = (320, 180), suffix: str = ".jpg"
) -> bytes:
    """The small videos' scene as one JPEG or PNG; without the square for None."""
    pixels = background(size)
    if progress is not None:
        pixels = square_at(pixels, progress)
    ok, data = cv2.imencode(suffix, pixels.astype(np.uint8))
    assert ok
    return data.tobytes()


def send(handler: BaseHTTPRequestHandler, body: bytes, kind: str = "image/jpeg", status: int = 200) -> None:
    handler.send_response(status)
    handler.send_header("Content-Type", kind)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


class HttpCamera:
    """`respond` answers whoever is let in; `login` is none, basic or digest, for joe with s:cret."""

    def __init__(
        self, respond: Respond | None = None, *, login: str = "none", algorithm: str = "MD5"
    ) -> None:
        self.respond = respond or (lambda handler: send(handler, picture()))
        self.login = login
        self.algorithm = algorithm
        self.gets = 0
        """Requests that were let in."""
        self.refused = 0
        self.seen: list[str] = []
        """Every Authorization that came."""
        self.stop = threading.Event()

    @contextmanager
    def serving(self, tls: ssl.SSLContext | None = None) -> Iterator[int]:
        camera = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                camera.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that hangs up is meant
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server.server_port
        finally:
            self.stop.set()
            server.shutdown()
            thread.join()
            server.server_close()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        given = handler.headers.get("Authorization", "")
        if given:
            self.seen.append(given)
        if not self._let_in(handler, given):
            self.refused += 1
            handler.send_response(401)
            if self.login == "digest":
                handler.send_header("WWW-Authenticate", 'Basic realm="camera"')
                nonce = f"n{self.refused}"
                more = f'realm="camera", nonce="{nonce}", qop="auth,auth-int"'
                handler.send_header("WWW-Authenticate", f"Digest {more}, algorithm={self.algorithm}")
            else:
                handler.send_header("WWW-Authenticate", 'Basic realm="camera"')
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        self.gets += 1
        self.respond(handler)

    def _let_in(self, handler: BaseHTTPRequestHandler, given: str) -> bool:
        if self.login == "none":
            return True
        if self.login == "basic":
            return given == "Basic " + base64.b64encode(b"joe:s:cret").decode()
        if not given.startswith("Digest "):
            return False
        said = parse_keqv_list(parse_http_list(given.removeprefix("Digest ")))
        who = self._hash("joe:camera:s:cret")
        what = self._hash(f"GET:{handler.path}")
        right = self._hash(f"{who}:{said['nonce']}:{said['nc']}:{said['cnonce']}:{said['qop']}:{what}")
        return said["response"] == right

    def _hash(self, text: str) -> str:
        return hashlib.new(self.algorithm.replace("-", "").lower(), text.encode()).hexdigest()
