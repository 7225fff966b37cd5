"""HTTP answers with a limit of time for the whole of them.

The time limit of Python's HTTP is one for each read of the socket: whoever sends a byte now and then, in
the head or between two chunks, holds its reader for hours. Here what is left of the limit is the limit
of each read.
"""

from __future__ import annotations

import io
import time
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from socket import socket
from typing import Any
from urllib import request

MOST_UNREAD = 1_000_000
"""Bytes that are read of an answer nobody asked the size of: urllib reads all that comes with a redirect."""


class _Hurried(io.RawIOBase):
    """A socket's bytes; raises TimeoutError when its time limit, counted from now, is over."""

    def __init__(self, source: Any, sock: socket) -> None:
        self._source = source
        self._sock = sock
        limit = sock.gettimeout()
        self._until = None if limit is None else time.monotonic() + limit

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._until is not None:
            left = self._until - time.monotonic()
            if left <= 0:
                raise TimeoutError("timed out")
            self._sock.settimeout(left)
        return self._source.readinto(buffer)  # type: ignore[no-any-return]

    def close(self) -> None:
        self._source.close()
        super().close()


class _Answer(HTTPResponse):
    def __init__(self, sock: socket, *given: Any, **named: Any) -> None:
        super().__init__(sock, *given, **named)
        self.fp = io.BufferedReader(_Hurried(self.fp.detach(), sock))

    def read(self, amt: int | None = None) -> bytes:
        try:
            return super().read(MOST_UNREAD if amt is None else amt)
        except OSError:
            self.close()  # urllib would not
            raise


class _Connection(HTTPConnection):
    response_class = _Answer


class _SecureConnection(HTTPSConnection):
    response_class = _Answer


class TimedHttp(request.HTTPHandler):
    def http_open(self, req: request.Request) -> HTTPResponse:
        return self.do_open(_Connection, req)


class TimedHttps(request.HTTPSHandler):
    def https_open(self, req: request.Request) -> HTTPResponse:
        return self.do_open(_SecureConnection, req, context=self._context)  # type: ignore[attr-defined]
