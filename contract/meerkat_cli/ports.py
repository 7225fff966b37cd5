"""Which TCP port to listen on: chosen once and kept, so that addresses stay true over restarts."""

from __future__ import annotations

import errno
import json
import socket
import sys
import time
from pathlib import Path

from meerkat_contract.errors import UsageError

PORTS_FILE = "ports.json"
_LISTENING = "0A"


def choose(
    data: Path,
    name: str,
    *,
    preferred: int,
    requested: int | None,
    where: str = "",
    host: str = "127.0.0.1",
    patience: float = 0,
) -> int:
    """The port for `name`: `requested`, else the one kept in `data`, else `preferred` if free, else another.

    `where`: the option or field that requested it. `patience`: seconds to wait for the kept port,
    which a run that was killed may still be leaving.
    Raises UsageError, naming who holds it, when a requested port is taken.
    """
    kept = _kept(data)
    usual = kept.get(name, preferred) if requested is None else requested
    deadline = time.monotonic() + patience
    while not is_free(usual, host) and time.monotonic() < deadline:
        time.sleep(0.1)
    if is_free(usual, host):
        port = usual
    elif requested is not None:
        raise UsageError(
            f"port {requested} is taken by {holder(requested)}",
            where=where,
            remedy="End that program, or choose another port; when none is asked for, a free one is found",
        )
    else:
        port = _any_free(host)
    if requested is None and kept.get(name) != port and (port != preferred or name in kept):
        (data / PORTS_FILE).write_text(json.dumps({**kept, name: port}) + "\n")
    return port


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a program could listen there now. Raises UsageError when `host` is not of this machine."""
    with socket.socket(_family(host)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
                raise UsageError(
                    "is not an address of this machine",
                    where=host,
                    remedy="Write 127.0.0.1 for this machine alone, 0.0.0.0 for the whole network",
                ) from None
            return False
        return True


def why_another(usual: int, host: str = "127.0.0.1") -> str:
    """Why it is not the usual port, in words: who holds it now, or that somebody did."""
    if is_free(usual, host):
        return f"port {usual} was taken when it was chosen ({PORTS_FILE})"
    return f"port {usual} is taken by {holder(usual)}"


def holder(port: int) -> str:
    """Who listens on `port`, for a message: `mosquitto (process 812)`, or the command that tells."""
    if sys.platform != "linux":
        return f"another program; `lsof -i :{port}` names it"
    inodes = _listening_inodes(port)
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if any(_target(link) in inodes for link in (folder / "fd").iterdir()):
                return f"{(folder / 'comm').read_text().strip()} (process {folder.name})"
        except OSError:
            # Another user's process, or one that has just ended: neither can be asked.
            continue
    return f"another user's program; `sudo ss -ltnp sport = :{port}` names it"


def _target(link: Path) -> str:
    """What a descriptor's link points at; nothing when it was closed this instant."""
    try:
        return str(link.readlink())
    except FileNotFoundError:
        return ""


def _listening_inodes(port: int) -> set[str]:
    found: set[str] = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        path = Path(table)
        if not path.exists():
            continue
        for line in path.read_text().splitlines()[1:]:
            columns = line.split()
            if columns[3] == _LISTENING and int(columns[1].rpartition(":")[2], 16) == port:
                found.add(f"socket:[{columns[9]}]")
    return found


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _any_free(host: str) -> int:
    with socket.socket(_family(host)) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _kept(data: Path) -> dict[str, int]:
    try:
        content = json.loads((data / PORTS_FILE).read_text())
        return {str(name): int(port) for name, port in content.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise UsageError(
            f"cannot be read ({error})", where=str(data / PORTS_FILE), remedy="Remove the file"
        ) from None
