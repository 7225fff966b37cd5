"""`python -m meerkat_cloud_burst.emulated`: the emulator of AWS as a process of its own.

SIGUSR1     off the network: connections are refused, nothing is forgotten
SIGUSR2     on the network again
SIGTERM     the end, of all instances too
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import warnings
from pathlib import Path

import click

from meerkat_cli import lifeline, logs
from meerkat_contract.errors import MeerkatError, UsageError

from .emulator import HANG_UP, LISTEN
from .instances import LocalInstances
from .server import Server
from .stack import make_stack

log = logging.getLogger("meerkat.emulated")


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Of the loopback; any free one.")
@click.option("--ready", type=click.Path(path_type=Path), help="File to write when it answers.")
@click.option("--parameter", "parameters", multiple=True, metavar="NAME=VALUE", help="Of template.yaml.")
@click.option("--instances", is_flag=True, help="Run a cloud worker for each instance of the group.")
@click.option("--boot", type=click.FloatRange(0), default=0.0, help="Seconds until a worker begins.")
def emulated(
    *, port: int, ready: Path | None, parameters: tuple[str, ...], instances: bool, boot: float
) -> None:
    """Serve an emulated AWS with the stack of `meerkat burst deploy` on this machine, until SIGTERM."""
    heard = _signals()
    server = Server(port)
    server.listen()
    stack = make_stack(server.endpoint, parameters=_pairs(parameters))
    log.info("AWS is emulated at %s; nothing leaves this machine, and nothing costs money", server.endpoint)
    machines = LocalInstances(server.endpoint, stack.group, environment=stack.environment, boot=boot)
    if instances:
        machines.start()
    if ready is not None:
        said = {"endpoint": server.endpoint, "outputs": stack.outputs, "environment": stack.environment}
        part = ready.with_suffix(".part")
        part.write_text(json.dumps(said) + "\n")
        part.replace(ready)
    while (wish := os.read(heard, 1)[0]) in (HANG_UP, LISTEN):
        if wish == HANG_UP:
            server.hang_up()
        else:
            server.listen()
    if instances:
        machines.stop()
    logging.shutdown()
    os._exit(0)  # all that is left are moto's threads and its memory


def _signals() -> int:
    """A pipe's end that gives the number of each signal, one byte each.

    A handler in Python would not run while the main thread is on its way into a wait.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing)
    for number in (signal.SIGTERM, signal.SIGINT, HANG_UP, LISTEN):
        signal.signal(number, lambda _number, _frame: None)
    return reading


def _pairs(parameters: tuple[str, ...]) -> dict[str, str]:
    pairs = {name: value for name, sign, value in (text.partition("=") for text in parameters) if sign}
    if len(pairs) < len(parameters):
        raise UsageError("a parameter is NAME=VALUE", where="--parameter", remedy="Write IdleGrace=10")
    return pairs


def main() -> None:
    lifeline.hold()
    logs.set_up("emulated")
    warnings.filterwarnings("ignore", message="Tried to parse")  # of what moto leaves out of the template
    try:
        emulated.main(standalone_mode=False)
    except MeerkatError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_status)


if __name__ == "__main__":
    main()
