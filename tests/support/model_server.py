"""A file server on loopback that misbehaves as told, for the downloads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

Trick = Literal["late", "cut", "stall", "wrong", "500", "404", "416", "other-part", "too-long"]


class ModelServer:
    """Serves `files` by name at `url`. `tricks` are played one per request, then it behaves."""

    def __init__(self, files: dict[str, bytes], *, ranges: bool = True, etag: str = '"v1"') -> None:
        self.files = files
        self.ranges = ranges
        self.etag = etag
        self.tricks: list[Trick] = []
        self.requests: list[dict[str, str]] = []
        """Per request: path, Range, If-Range."""
        self.released = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server.answer(self)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        self.requests.append(
            {
                "path": handler.path,
                **{k: handler.headers[k] for k in ("Range", "If-Range") if k in handler.headers},
            }
        )
        trick = self.tricks.pop(0) if self.tricks else None
        if trick == "late":
            self.released.wait(30)
        data = self.files.get(handler.path.lstrip("/"))
        if trick in ("404", "416", "500") or data is None:
            handler.send_response(int(trick or 404))
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        start = 0
        asked = handler.headers.get("Range", "")
        if self.ranges and asked and handler.headers.get("If-Range", self.etag) == self.etag:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
        body = data[start:]
        if trick == "wrong":
            body = bytes(len(body))
        if trick == "too-long":
            body += b"more"
        handler.send_response(206 if start else 200)
        if start:
            shown = start + 1 if trick == "other-part" else start
            handler.send_header("Content-Range", f"bytes {shown}-{len(data) - 1}/{len(data)}")
        handler.send_header("Content-Length", str(len(body)))
        if self.etag:
            handler.send_header("ETag", self.etag)
        handler.end_headers()
        if trick in ("cut", "stall"):
            handler.wfile.write(body[: len(body) // 2])
            handler.wfile.flush()
            if trick == "stall":
                self.released.wait(30)
            handler.close_connection = True
            return
        handler.wfile.write(body)

    @contextmanager
    def running(self) -> Iterator[ModelServer]:
        thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield self
        finally:
            self.released.set()
            self._http.shutdown()
            self._http.server_close()
            thread.join()
