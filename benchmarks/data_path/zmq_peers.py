"""The paper's broker: imageZMQ as its package sends JPEGs, request and reply over ZeroMQ.

    python zmq_peers.py relay IN_PORT OUT_PORT
    python zmq_peers.py source PORT COUNT SIZE RATE
    python zmq_peers.py sink PORT COUNT

A message is two parts, JSON {"msg": name} and the JPEG, and each is answered with `OK` before the
next one. The relay answers first and passes on then, so that both of its links are busy at a time.
"""

from __future__ import annotations

import json
import struct
import sys
import time

import zmq

PATIENCE_MS = 20_000


def _socket(context: zmq.Context[zmq.Socket[bytes]], kind: int) -> zmq.Socket[bytes]:
    made = context.socket(kind)
    made.setsockopt(zmq.RCVTIMEO, PATIENCE_MS)
    made.setsockopt(zmq.LINGER, 0)
    return made


def relay(in_port: int, out_port: int) -> None:
    context = zmq.Context()
    inward, outward = _socket(context, zmq.REP), _socket(context, zmq.REQ)
    inward.setsockopt(zmq.RCVTIMEO, -1)
    inward.bind(f"tcp://127.0.0.1:{in_port}")
    outward.connect(f"tcp://127.0.0.1:{out_port}")
    print("ready", flush=True)
    while True:
        header, jpeg = inward.recv_json(), inward.recv(copy=False)
        inward.send(b"OK")
        outward.send_json(header, zmq.SNDMORE)
        outward.send(jpeg, copy=False)
        outward.recv()


def source(port: int, count: int, size: int, rate: float) -> None:
    outward = _socket(zmq.Context(), zmq.REQ)
    outward.connect(f"tcp://127.0.0.1:{port}")
    filling = bytes(size - 8)
    began = time.monotonic_ns()
    for number in range(count):
        if rate:
            left = began + int(number * 1e9 / rate) - time.monotonic_ns()
            if left > 0:
                time.sleep(left / 1e9)
        outward.send_json({"msg": "porch"}, zmq.SNDMORE)
        outward.send(struct.pack("=q", time.monotonic_ns()) + filling, copy=False)
        outward.recv()


def sink(port: int, count: int) -> None:
    """Prints a line of JSON as the ends in C do."""
    inward = _socket(zmq.Context(), zmq.REP)
    inward.bind(f"tcp://127.0.0.1:{port}")
    print("ready", flush=True)
    took = []
    began = 0
    for _ in range(count):
        inward.recv_json()
        jpeg = inward.recv(copy=False)
        sent = struct.unpack_from("=q", jpeg.buffer)[0]
        began = began or sent
        took.append((time.monotonic_ns() - sent) / 1e3)
        inward.send(b"OK")
    seconds = (time.monotonic_ns() - began) / 1e9
    took.sort()
    told = {"p50": took[count // 2], "p99": took[count * 99 // 100], "max": took[-1]}
    print(json.dumps({"received": count, "seconds": seconds, "cpu": time.process_time(), **told}))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["relay", in_port, out_port]:
            relay(int(in_port), int(out_port))
        case ["source", port, count, size, rate]:
            source(int(port), int(count), int(size), float(rate))
        case ["sink", port, count]:
            sink(int(port), int(count))
        case _:
            raise SystemExit(__doc__)
