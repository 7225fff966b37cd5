"""`python -m meerkat_cloud_burst.emulated`: the emulator of AWS as a process of its own.

SIGUSR1     off the network: connections are refused, nothing is forgotten
SIGUSR2     on the network again
SIGTERM     the end, of all instances too
"""

from __future__ import annotations

import json
import logging
import queue
import signal
import sys
from pathlib import Path

import click

from meerkat_cli import lifeline, logs
from meerkat_contract.errors import MeerkatError

from .emulator import HANG_UP, LISTEN
from .server import Server

log = logging.getLogger("meerkat.emulated")


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Of the loopback; any free one.")
@click.option("--ready", type=click.Path(path_type=Path), help="File to write when it answers.")
def emulated(*, port: int, ready: Path | None) -> None:
    """Serve an emulated AWS on this machine until SIGTERM."""
    heard: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in (signal.SIGTERM, signal.SIGINT, HANG_UP, LISTEN):
        signal.signal(number, lambda received, _frame: heard.put(received))
    server = Server(port)
    server.listen()
    log.info("AWS is emulated at %s; nothing leaves this machine, and nothing costs money", server.endpoint)
    if ready is not None:
        part = ready.with_suffix(".part")
        part.write_text(json.dumps({"endpoint": server.endpoint}) + "\n")
        part.replace(ready)
    while (wish := heard.get()) in (HANG_UP, LISTEN):
        if wish == HANG_UP:
            server.hang_up()
        else:
            server.listen()
    server.hang_up()


def main() -> None:
    lifeline.hold()
    logs.set_up("emulated")
    try:
        emulated.main(standalone_mode=False)
    except MeerkatError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_status)


if __name__ == "__main__":
    main()
