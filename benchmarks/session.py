"""What a message costs in the session: messages a second and CPU time per message, at QoS 0 and 1.

    python benchmarks/session.py [--messages N] [--size BYTES]

A writer and a reader session, each with its own process so that their CPU time can be told apart, and
a real Mosquitto on loopback. `thread`: published from another thread than the network thread.
`handler`: published from a handler, on the network thread. The last table is an idle session.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection as Pipe
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from rich.console import Console
from rich.table import Table

from meerkat_contract.connection import Connection
from meerkat_contract.session import Incoming, Session
from support.broker import Mosquitto

WINDOW = 100
"""Messages published and not yet confirmed; a device has a few, a hub some tens."""
IDLE_SECONDS = 12.0


def read(connection: Connection, qos: int, count: int, pipe: Pipe) -> None:
    """Count messages; tells the CPU time spent on them and whether all came."""
    done = threading.Event()
    seen = 0

    def note(_: Incoming) -> None:
        nonlocal seen
        seen += 1
        if seen == count:
            done.set()

    session = Session(connection, client_id="reader")
    session.subscribe("bench", note, qos=qos)
    session.start()
    session.wait_subscribed(20)
    before = time.process_time()
    pipe.send("ready")
    done.wait(120)
    pipe.send((seen, time.process_time() - before))
    session.stop()


def publish_from_thread(session: Session, payload: bytes, qos: int, count: int) -> None:
    room = threading.Semaphore(WINDOW)
    for _ in range(count):
        room.acquire()
        session.publish("bench", payload, qos=qos, content_type="image/jpeg").add_done_callback(
            lambda _: room.release()
        )


def publish_from_handler(session: Session, payload: bytes, qos: int, count: int) -> None:
    done = threading.Event()
    left = count

    def next_one(_: object = None) -> None:
        nonlocal left
        if left > 0:
            left -= 1
            delivery = session.publish("bench", payload, qos=qos, content_type="image/jpeg")
            waiting.append(1)
            delivery.add_done_callback(settled)

    waiting: list[int] = []

    def settled(_: object) -> None:
        waiting.pop()
        if not waiting and left == 0:
            done.set()

    def burst(_: Incoming) -> None:
        for _ in range(10):
            next_one()
        if left > 0:
            session.publish("again", b"")

    session.subscribe("again", burst, qos=0)
    session.wait_subscribed(20)
    session.publish("again", b"")
    done.wait(120)


PUBLISHERS: dict[str, Callable[[Session, bytes, int, int], None]] = {
    "thread": publish_from_thread,
    "handler": publish_from_handler,
}


def run(connection: Connection, how: str, qos: int, size: int, count: int) -> tuple[float, float, float, int]:
    """Messages a second, writer's and reader's microseconds of CPU per message, messages that came."""
    pipe, far = multiprocessing.Pipe()
    reader = multiprocessing.get_context("spawn").Process(target=read, args=(connection, qos, count, far))
    reader.start()
    pipe.recv()
    session = Session(connection, client_id="writer")
    session.start()
    session.wait_connected(20)
    cpu, began = time.process_time(), time.perf_counter()
    PUBLISHERS[how](session, bytes(size), qos, count)
    seen, reader_cpu = pipe.recv()
    elapsed = time.perf_counter() - began
    cpu = time.process_time() - cpu
    session.stop()
    reader.join()
    return count / elapsed, cpu / count * 1e6, reader_cpu / count * 1e6, seen


def idle(connection: Connection) -> float:
    """Percent of a core that a connected session takes when nothing happens."""
    session = Session(connection, client_id="idle")
    session.subscribe("nothing", lambda _: None)
    session.start()
    session.wait_subscribed(20)
    before = time.process_time()
    time.sleep(IDLE_SECONDS)
    spent = time.process_time() - before
    session.stop()
    return spent / IDLE_SECONDS * 100


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--messages", type=int, default=3000)
    parser.add_argument("--size", type=int, default=50_000)
    options = parser.parse_args()
    table = Table(title=f"{options.messages} messages of {options.size:,} bytes")
    for column in ("published from", "QoS", "messages/s", "writer µs CPU", "reader µs CPU", "arrived"):
        table.add_column(column, justify="right")
    with tempfile.TemporaryDirectory() as folder:
        broker = Mosquitto(Path(folder), settings=("allow_anonymous true", "max_queued_messages 0"))
        broker.start()
        try:
            for how in PUBLISHERS:
                for qos in (0, 1):
                    rate, writer, reader, seen = run(
                        broker.connection, how, qos, options.size, options.messages
                    )
                    row = how, str(qos), f"{rate:,.0f}", f"{writer:.0f}", f"{reader:.0f}", str(seen)
                    table.add_row(*row)
            resting = idle(broker.connection)
        finally:
            broker.stop()
    console = Console()
    console.print(table)
    console.print(f"an idle session takes {resting:.3f} % of a core")


if __name__ == "__main__":
    main()
