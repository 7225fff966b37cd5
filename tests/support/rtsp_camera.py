"""A network camera for tests: RTSP 1.0 over TCP (RFC 2326), H.264 in RTP (RFC 6184), basic login."""

from __future__ import annotations

import base64
import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
from av.bitstream import BitStreamFilterContext

PAYLOAD = 1400


class RtspCamera:
    """Sends its video once to whoever plays it, as quickly as the line takes it, then stays silent."""

    def __init__(self, video: Path, *, user: str = "joe", password: str = "secret") -> None:
        self.units, extradata = _access_units(video)
        self.sets = base64.b64encode(extradata[0]).decode(), base64.b64encode(extradata[1]).decode()
        self.login = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        self.plays = 0
        self.silent = threading.Event()
        """Set to end every connection."""

    @contextmanager
    def serving(self) -> Iterator[int]:
        camera = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                camera.talk(self)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True

        with Server(("127.0.0.1", 0), Handler) as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
            thread.start()
            try:
                yield server.server_address[1]
            finally:
                self.silent.set()
                server.shutdown()
                thread.join()

    def talk(self, handler: socketserver.StreamRequestHandler) -> None:
        while request := handler.rfile.readline().decode().split():
            method, headers = request[0], {}
            while line := handler.rfile.readline().decode().strip():
                name, _, value = line.partition(":")
                headers[name.lower()] = value.strip()
            status, more, body = self.answer(method, request[1], headers)
            head = [f"RTSP/1.0 {status}", f"CSeq: {headers['cseq']}", *more, f"Content-Length: {len(body)}"]
            handler.wfile.write(("\r\n".join(head) + "\r\n\r\n" + body).encode())
            if method == "PLAY" and status == "200 OK":
                self.plays += 1
                self.play(handler)
                self.silent.wait()
                return

    def answer(self, method: str, url: str, headers: dict[str, str]) -> tuple[str, list[str], str]:
        if method == "OPTIONS":
            return "200 OK", ["Public: DESCRIBE, SETUP, PLAY, TEARDOWN"], ""
        if headers.get("authorization") != self.login:
            return "401 Unauthorized", ['WWW-Authenticate: Basic realm="camera"'], ""
        if method == "DESCRIBE":
            sdp = [
                "v=0",
                "o=- 0 0 IN IP4 127.0.0.1",
                "s=camera",
                "t=0 0",
                "m=video 0 RTP/AVP 96",
                "a=rtpmap:96 H264/90000",
                f"a=fmtp:96 packetization-mode=1;sprop-parameter-sets={self.sets[0]},{self.sets[1]}",
                "a=control:track1",
            ]
            base = f"Content-Base: {url}/"
            return "200 OK", ["Content-Type: application/sdp", base], "\r\n".join(sdp) + "\r\n"
        more = ["Session: 1"]
        if method == "SETUP":
            more.append("Transport: RTP/AVP/TCP;unicast;interleaved=0-1")
        return "200 OK", more, ""

    def play(self, handler: socketserver.StreamRequestHandler) -> None:
        sequence = 1000
        for at, nals in self.units:
            for number, nal in enumerate(nals):
                pieces = list(_pieces(nal))
                for index, piece in enumerate(pieces):
                    marker = number == len(nals) - 1 and index == len(pieces) - 1
                    header = struct.pack(
                        ">BBHII", 0x80, 96 | marker << 7, sequence & 0xFFFF, at & 0xFFFFFFFF, 1
                    )
                    sequence += 1
                    rtp = header + piece
                    handler.wfile.write(b"$\0" + struct.pack(">H", len(rtp)) + rtp)


def _pieces(nal: bytes) -> Iterator[bytes]:
    """The NAL unit as one payload, or in fragments (FU-A)."""
    if len(nal) <= PAYLOAD:
        yield nal
        return
    body, indicator, kind = nal[1:], nal[0] & 0xE0 | 28, nal[0] & 0x1F
    for start in range(0, len(body), PAYLOAD):
        first, last = start == 0, start + PAYLOAD >= len(body)
        yield bytes([indicator, first << 7 | last << 6 | kind]) + body[start : start + PAYLOAD]


def _access_units(video: Path) -> tuple[list[tuple[int, list[bytes]]], tuple[bytes, bytes]]:
    """RTP time and NAL units of each picture, and the two parameter sets."""
    units = []
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        annex_b = BitStreamFilterContext("h264_mp4toannexb", stream)
        for packet in container.demux(stream):
            for out in annex_b.filter(packet if packet.size else None):
                if out.pts is None or out.time_base is None:
                    continue
                nals = [nal for nal in bytes(out).replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1") if nal]
                units.append((round(out.pts * out.time_base * 90_000) + 123_456, nals))
    sets = {nal[0] & 0x1F: nal for nal in units[0][1]}
    return units, (sets[7], sets[8])
