"""As much of WebSocket (RFC 6455) as one question to Home Assistant and its answer need."""

from __future__ import annotations

import base64
import json
import os
import socket
import struct
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit


class Socket:
    """Signed in to a Home Assistant's API."""

    def __init__(self, url: str, token: str) -> None:
        where = urlsplit(url)
        self._socket = socket.create_connection((where.hostname, where.port), timeout=30)
        key = base64.b64encode(os.urandom(16)).decode()
        self._socket.sendall(
            f"GET /api/websocket HTTP/1.1\r\nHost: {where.netloc}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        self._stream = self._socket.makefile("rb")
        while self._stream.readline() not in (b"\r\n", b""):
            pass
        self._number = 0
        assert self._receive()["type"] == "auth_required"
        self._send({"type": "auth", "access_token": token})
        assert self._receive()["type"] == "auth_ok"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()
        self._socket.close()

    def ask(self, kind: str, **parameters: Any) -> Any:
        """The result of one command, such as `recorder/validate_statistics`."""
        self._number += 1
        self._send({"id": self._number, "type": kind, **parameters})
        answer = self._receive()
        assert answer.get("success"), answer
        return answer["result"]

    def next(self) -> dict[str, Any]:
        """The next message of a subscription that was asked for."""
        return self._receive()

    def _send(self, message: dict[str, Any]) -> None:
        payload, mask = json.dumps(message).encode(), os.urandom(4)
        masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
        self._socket.sendall(struct.pack("!BBH", 0x81, 0x80 | 126, len(payload)) + mask + masked)

    def _receive(self) -> dict[str, Any]:
        text = b""
        while True:
            first, length = self._stream.read(2)
            if length == 126:
                (length,) = struct.unpack("!H", self._stream.read(2))
            elif length == 127:
                (length,) = struct.unpack("!Q", self._stream.read(8))
            payload = self._stream.read(length)
            if first & 0x0F <= 2:  # text, or more of it; not a ping
                text += payload
                if first & 0x80:
                    message: dict[str, Any] = json.loads(text)
                    return message
