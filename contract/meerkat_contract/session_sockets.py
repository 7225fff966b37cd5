"""Sockets as the session wants them, with TLS and without."""

from __future__ import annotations

import socket
import ssl
from typing import Any

from .connection import Connection
from .errors import UsageError


def prepare(sock: Any, send_buffer: int) -> None:
    """Small messages must not wait for the acknowledgement of earlier ones (Nagle)."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)


class _TlsSocket(ssl.SSLSocket):
    """Closes itself when the handshake fails; paho leaves it open."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


def tls_context(connection: Connection) -> ssl.SSLContext:
    """Authorities of the system, or those of the file; the host's name is checked."""
    try:
        context = ssl.create_default_context(cafile=connection.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(
            f"cannot be used as a file of certificate authorities ({error})",
            where=str(connection.ca_file),
            remedy="Name a PEM file that can be read",
        ) from None
    context.sslsocket_class = _TlsSocket
    return context
