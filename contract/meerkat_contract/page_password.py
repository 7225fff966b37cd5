"""The house's password: what the hub's page asks of other machines.

It is kept in `<data>/broker/page.json` beside the broker's passwords, readable by its owner alone, together
with a random key that signs the cookies of those who have logged in. Whoever changes it ends their logins.
"""

from __future__ import annotations

import ipaddress
import json
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from .errors import UsageError

SHORTEST = 8
_SIGNS = "abcdefghjkmnpqrstuvwxyz23456789"
"""To be typed on a phone: lower case, and nothing that looks like something else."""


@dataclass(frozen=True)
class PagePassword:
    word: str = field(repr=False)
    key: str = field(repr=False)
    """Random, of this house; never leaves the machine."""


def password_file(data: Path) -> Path:
    return data / "broker" / "page.json"


def keep_page_password(data: Path) -> PagePassword:
    """The password, made at random when there is none yet. Raises UsageError."""
    path = password_file(data)
    try:
        kept = json.loads(path.read_text())
        return PagePassword(str(kept["password"]), str(kept["key"]))
    except FileNotFoundError:
        return change_page_password(data, random_password())
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"the page's password cannot be read ({error})",
            where=str(path),
            remedy="Remove the file: another password is then made",
        ) from None


def change_page_password(data: Path, word: str) -> PagePassword:
    """Write another one; a hub that runs takes it at once. Raises UsageError."""
    if len(word) < SHORTEST:
        raise UsageError(
            f"the password has {len(word)} characters", where="NEW", remedy=f"Take {SHORTEST} at least"
        )
    made = PagePassword(word, secrets.token_hex(32))
    path = password_file(data)
    # Hub and `meerkat up` may both make the first one: each writes a file of its own and moves it there.
    temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump({"password": made.word, "key": made.key}, file)
        temporary.replace(path)
    except OSError as error:
        raise UsageError(
            f"the page's password cannot be written ({error.strerror or error})",
            where=str(path),
            remedy="May you write there? Else set hub.password in meerkat.yaml",
        ) from None
    return made


def answers_others(host: str) -> bool:
    """Whether a page that listens on this address is reached from other machines."""
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host != "localhost"


def random_password() -> str:
    """Three groups of four, 59 bits: with ten tries a minute nobody comes to its end."""
    return "-".join("".join(secrets.choice(_SIGNS) for _ in range(4)) for _ in range(3))
