"""A component that passes messages on in a handler: what the session costs, without any decision.

    python session_relay.py PORT IN OUT QOS HOW [WHERE]

HOW is the session's client (`paho` or `own`). WHERE is `handler`, or `thread`: another thread publishes,
as the hub does.
"""

from __future__ import annotations

import queue
import signal
import sys
import threading
from typing import cast

from meerkat_contract.connection import Connection
from meerkat_contract.session import Incoming, Session
from meerkat_contract.session_transport import Wire


def main(words: list[str]) -> None:
    port, source, target, level, how, where = words
    qos, wire = int(level), cast(Wire, how)
    session = Session(Connection("127.0.0.1", int(port)), client_id="relay", wire=wire)

    def pass_on(message: Incoming) -> None:
        session.publish(
            target,
            message.payload,
            qos=qos,
            content_type=message.content_type,
            properties=message.properties,
        )

    waiting: queue.SimpleQueue[Incoming] = queue.SimpleQueue()

    def work() -> None:
        while True:
            first = waiting.get()
            with session.together():
                pass_on(first)
                while not waiting.empty():
                    pass_on(waiting.get())

    if where == "thread":
        threading.Thread(target=work, daemon=True).start()
    session.subscribe(source, pass_on if where == "handler" else waiting.put, qos=qos)
    session.start()
    session.wait_subscribed(20)
    print("ready", flush=True)
    signal.sigwait({signal.SIGTERM})
    session.stop()


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    main(sys.argv[1:])
