"""Where the broker is, and who we are there.

`meerkat up` writes `connections.json` into the data folder: one entry per role, readable by its
owner alone. Commands on the same machine find their broker and credentials through it.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

from .errors import UsageError

CONNECTIONS_FILE = "connections.json"


@dataclass(frozen=True)
class Connection:
    """How to reach a broker. The password is kept out of repr() and of log lines."""

    host: str
    port: int = 1883
    tls: bool = False
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: Path | None = None

    @property
    def url(self) -> str:
        """The address without the password, for people to read."""
        user = f"{quote(self.username, safe='')}@" if self.username else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"mqtt{'s' if self.tls else ''}://{user}{host}:{self.port}"

    @property
    def secret_url(self) -> str:
        """The address with the password, for a child process's environment only."""
        if self.username is None or self.password is None:
            return self.url
        return self.url.replace("@", f":{quote(self.password, safe='')}@", 1)


def parse_broker_url(url: str, *, where: str = "--broker") -> Connection:
    """Read mqtt[s]://[user[:password]@]host[:port]; raises UsageError."""
    remedy = "Write mqtt://host, mqtt://user:password@host:1883 or mqtts://host:8883"
    parts = urlsplit(url if "://" in url else f"mqtt://{url}")
    try:
        port = parts.port
    except ValueError:
        raise UsageError(
            "the broker's port is not a number from 1 to 65535", where=where, remedy=remedy
        ) from None
    if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname:
        raise UsageError(
            f"{parts.scheme}://… is not the address of an MQTT broker", where=where, remedy=remedy
        )
    tls = parts.scheme == "mqtts"
    return Connection(
        host=parts.hostname,
        port=port or (8883 if tls else 1883),
        tls=tls,
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
    )


class BrokerSettings(BaseModel):
    """Section `broker` of meerkat.yaml: an existing MQTT broker. Without it `meerkat up` starts its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str | None = Field(None, description="mqtt[s]://host[:port]; MEERKAT_BROKER overrides it")
    username: str | None = None
    password: str | None = Field(None, repr=False, description="better in MEERKAT_BROKER than in a file")
    ca_file: Path | None = Field(None, description="the authority that signed the broker's certificate")

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, url: str | None) -> str | None:
        if url:
            try:
                parse_broker_url(url)
            except UsageError as error:
                raise ValueError(f"{error.what}. {error.remedy}") from None
        return url


def default_data_folder() -> Path:
    """$MEERKAT_DATA, else the XDG data folder, else ~/.local/share/meerkat."""
    if folder := os.environ.get("MEERKAT_DATA"):
        return Path(folder)
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "meerkat"


def write_connections(data: Path, roles: dict[str, Connection], *, http: str = "") -> None:
    """Record for other commands how each role connects, and the page's address. Mode 0600."""
    content: dict[str, Any] = {
        "http": http,
        "roles": {
            role: {"url": c.secret_url, "ca_file": str(c.ca_file) if c.ca_file else None}
            for role, c in roles.items()
        },
    }
    path = data / CONNECTIONS_FILE
    temporary = path.with_suffix(".new")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(content, file, indent=1)
    temporary.replace(path)


def find_connection(
    role: str,
    *,
    broker: str | None = None,
    run: Path | None = None,
    data: Path | None = None,
    settings: BrokerSettings | None = None,
) -> Connection:
    """The broker for `role` (hub, worker, device-<name>, homeassistant, client).

    In this order: `broker` (the option --broker), connections.json of the folder `run`,
    $MEERKAT_BROKER, the section `broker` of meerkat.yaml, connections.json of the folder `data`.
    Raises UsageError when there is none.

    `run` is the folder of a `meerkat up` that the person named in order to speak with that one.
    `data` is where a component keeps its things; that it was named says nothing about the broker.
    """
    if broker:
        return parse_broker_url(broker)
    if run:
        return _recorded(role, run)
    if url := os.environ.get("MEERKAT_BROKER"):
        found = parse_broker_url(url, where="MEERKAT_BROKER")
        ca_file = os.environ.get("MEERKAT_BROKER_CA")
        return replace(found, ca_file=Path(ca_file)) if ca_file else found
    if settings and settings.url:
        found = parse_broker_url(settings.url, where="broker.url")
        return replace(
            found,
            username=settings.username or found.username,
            password=settings.password or found.password,
            ca_file=settings.ca_file,
        )
    return _recorded(role, data or default_data_folder())


def _recorded(role: str, folder: Path) -> Connection:
    """What `meerkat up` wrote down in its data folder."""
    path = folder / CONNECTIONS_FILE
    try:
        roles = json.loads(path.read_text())["roles"]
        if role not in roles and role.startswith("device-") and roles["client"] != roles["hub"]:
            raise _unknown_device(role.removeprefix("device-"), path)
        entry = roles.get(role) or roles["client"]
        found = parse_broker_url(entry["url"], where=str(path))
        return replace(found, ca_file=Path(entry["ca_file"])) if entry.get("ca_file") else found
    except FileNotFoundError:
        raise UsageError(
            "no broker is known",
            where=str(path),
            remedy="Start `meerkat up`, or name a broker with --broker mqtt://host",
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"cannot be read ({error})",
            where=str(path),
            remedy="Start `meerkat up` again: it writes the file anew",
        ) from None


def _unknown_device(name: str, path: Path) -> UsageError:
    """The private broker has a user for each device, and lets nobody else speak for one."""
    return UsageError(
        f"the broker of `meerkat up` knows no device {name!r}",
        where=str(path),
        remedy=f"Write `devices: {{{name}: {{}}}}` into its meerkat.yaml and start it again",
    )


def find_page(data: Path | None = None) -> str:
    """The address of the hub's page on this machine, or an empty string."""
    try:
        content = json.loads(((data or default_data_folder()) / CONNECTIONS_FILE).read_text())
        return str(content.get("http", ""))
    except (OSError, ValueError):
        return ""
