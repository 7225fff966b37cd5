"""Home Assistant's ingress as a hub meets it: a small reverse proxy under /api/hassio_ingress/<token>.

Written after homeassistant/components/hassio/ingress.py of 2026.11: the prefix is cut off and told in
X-Ingress-Path, the browser's Host stays, Accept-Encoding goes, and of Content-Type only the type
comes back. It connects from an address of its own, as Home Assistant's does.
"""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

ADDRESS = "127.0.0.2"
"""Where the ingress connects from: a hub in a test hears its own machine at 127.0.0.1."""

TOKEN = "4kD-Zq_9uVtYw0c"
PREFIX = f"/api/hassio_ingress/{TOKEN}"
PANEL = "/app/meerkat"

DROPPED = {"content-encoding", "transfer-encoding", "accept-encoding", "connection"}
REPLACED = {"content-length", "content-type", "content-encoding", "transfer-encoding", "connection"}


class IngressProxy(ThreadingHTTPServer):
    """`strays`: what was asked for outside of the prefix, and would have hit Home Assistant itself."""

    daemon_threads = True

    def __init__(self, target: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target = urlsplit(target).netloc
        self.strays: list[str] = []
        self.asked: list[str] = []
        self.base = f"http://127.0.0.1:{self.server_address[1]}"
        self.entry = f"{self.base}{PREFIX}/"
        self.panel = f"{self.base}{PANEL}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: IngressProxy

    def _pass_on(self) -> None:
        if self.path == PANEL:
            panel = f'<!doctype html><link rel="icon" href="data:,"><iframe src="{PREFIX}/"></iframe>'
            self._answer(200, [("Content-Type", "text/html")], panel.encode())
            return
        if not self.path.startswith(f"{PREFIX}/"):
            self.server.strays.append(self.path)
            self._answer(404, [], b"")
            return
        self.server.asked.append(f"{self.command} {self.path.removeprefix(PREFIX)}")
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name: value for name, value in self.headers.items() if name.lower() not in DROPPED}
        headers |= {"X-Ingress-Path": PREFIX, "X-Hass-Source": "core.ingress", "X-Forwarded-For": "192.0.2.7"}
        hub = http.client.HTTPConnection(self.server.target, timeout=30, source_address=(ADDRESS, 0))
        try:
            hub.request(self.command, self.path.removeprefix(PREFIX), body or None, headers)
            self._return(hub.getresponse())
        except (http.client.HTTPException, ConnectionError):
            self.close_connection = True
        finally:
            hub.close()

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _pass_on

    def _return(self, answer: http.client.HTTPResponse) -> None:
        headers = [(name, value) for name, value in answer.getheaders() if name.lower() not in REPLACED]
        if kind := answer.getheader("content-type"):
            headers.append(("Content-Type", kind.partition(";")[0].strip()))
        if answer.length is not None:
            self._answer(answer.status, headers, answer.read())
            return
        self.send_response(answer.status)
        for name, value in [*headers, ("Transfer-Encoding", "chunked")]:
            self.send_header(name, value)
        self.end_headers()
        while part := answer.read1(65536):
            self.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response(status)
        for name, value in [*headers, ("Content-Length", str(len(body)))]:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: the test looks at what was asked."""


@contextmanager
def ingress(target: str) -> Iterator[IngressProxy]:
    """The proxy before `target`, http://host:port, until the end of the block."""
    proxy = IngressProxy(target)
    thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield proxy
    finally:
        proxy.shutdown()
        thread.join(10)
        proxy.server_close()
