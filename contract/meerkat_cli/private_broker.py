"""The private Mosquitto of `meerkat up`: its configuration, passwords and access list.

One user per role (hub, worker, homeassistant, client) and one per device (`device-<id>`). Passwords
are random, made once and kept in `<data>/broker/passwords.json`, readable by the owner alone.
Works with Mosquitto 2.0.11 (Debian bookworm) and later.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import os
import re
import secrets
import shutil
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from meerkat_contract.connection import Connection
from meerkat_contract.errors import UsageError

ROLES = ("hub", "worker", "homeassistant", "client")
DEVICE_PREFIX = "device-"

# What each role may do; `{id}` is the device's. Mosquitto lets a client subscribe to anything, and
# filters what is delivered to it by these lines.
_ACCESS: dict[str, tuple[str, ...]] = {
    "hub": ("readwrite meerkat/#",),
    "worker": (
        "read meerkat/hub/#",
        "read meerkat/worker/+/jobs",
        "read meerkat/worker/+/cancel",
        "read meerkat/worker/+/deploy",
        "write meerkat/worker/+/state",
        "write meerkat/worker/+/results",
        "write meerkat/worker/+/error",
    ),
    "homeassistant": (
        "read meerkat/#",
        "readwrite homeassistant/#",
        "write meerkat/device/+/+/+/set",
        "write meerkat/hub/+/set",
    ),
    "client": (
        "read meerkat/#",
        "read homeassistant/#",
        "write meerkat/device/+/+/clip",
        "write meerkat/device/+/+/+/set",
        "write meerkat/hub/+/set",
    ),
    "device": (
        "write meerkat/device/{id}/#",
        "read meerkat/device/{id}/receipt",
        "read meerkat/device/{id}/+/+/set",
        "read meerkat/hub/#",
    ),
}

# MQTT's own limit. Mosquitto 2.1 refuses packets above 2,000,000 bytes unless it is told otherwise, and
# 2.0 refuses to read 0 for "no limit".
_LARGEST_PACKET = 268_435_455
# What may wait in memory for one client that is away or slow; devices keep their own copies.
_LARGEST_QUEUE = 128 * 1024 * 1024
# How often the broker saves what is retained. Often would wear an SD card out, and nothing that counts
# rests on it: devices keep their recordings until the hub's receipt.
_SAVE_SECONDS = 30
_HASH_ROUNDS = 101

ENVIRONMENT = {
    "MALLOC_TRIM_THRESHOLD_": str(16 * 1024 * 1024),
    "MALLOC_MMAP_THRESHOLD_": str(32 * 1024 * 1024),
}
"""What Mosquitto is to be started with: how much memory glibc keeps at hand, in bytes.

Left alone glibc gives 128 kB and more at the heap's end back to the system at once, and a broker whose heap
ends in free memory then takes it anew for each picture: half of its time went into that. Clips above the
second size would be mapped and unmapped each; glibc finds that size by itself, up to the 32 MB given here,
but no longer once the first is given (mallopt(3)). Other C libraries do not read this.
"""


@dataclass(frozen=True)
class PrivateBroker:
    """A broker that is ready to be started: `argv` runs it in the foreground."""

    argv: tuple[str, ...]
    port: int
    passwords: Mapping[str, str] = field(repr=False)
    environment: Mapping[str, str] = field(default_factory=lambda: ENVIRONMENT)
    """To be added to the process's own."""

    def connection(self, role: str) -> Connection:
        """How `role` connects from this machine."""
        return Connection("127.0.0.1", self.port, username=role, password=self.passwords[role])


def prepare(data: Path, *, devices: Iterable[str], port: int, open_lan: bool = False) -> PrivateBroker:
    """Write everything that Mosquitto needs into `<data>/broker/`. Raises UsageError without Mosquitto."""
    program = find_mosquitto()
    folder = data.absolute() / "broker"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    passwords = keep_passwords(folder / "passwords.json", devices)
    _write(folder / "passwords", password_text(passwords))
    _write(folder / "access", access_text(passwords))
    text = configuration_text(folder, port=port, open_lan=open_lan, as_root=os.geteuid() == 0)
    _write(folder / "mosquitto.conf", text)
    return PrivateBroker((program, "-c", str(folder / "mosquitto.conf")), port, passwords)


def configuration_text(folder: Path, *, port: int, open_lan: bool, as_root: bool) -> str:
    """mosquitto.conf. Started by root, Mosquitto would drop its rights and lose sight of these files."""
    return "\n".join(
        [
            "# Written by `meerkat up` at every start; changes are lost.",
            f"listener {port}" if open_lan else f"listener {port} 127.0.0.1",
            *(["user root"] if as_root else []),
            "allow_anonymous false",
            f"password_file {folder / 'passwords'}",
            f"acl_file {folder / 'access'}",
            "persistence true",
            f"persistence_location {folder}/",
            f"autosave_interval {_SAVE_SECONDS}",
            "persistent_client_expiration 14d",
            f"max_packet_size {_LARGEST_PACKET}",
            f"max_queued_bytes {_LARGEST_QUEUE}",
            "set_tcp_nodelay true",
            "sys_interval 0",
            # Mosquitto buffers stdout when it is a pipe: a refused login would be read an hour later.
            "log_dest stderr",
            "log_timestamp false",
            "log_type error",
            "log_type warning",
            "log_type notice",
            "",
        ]
    )


def access_text(users: Iterable[str]) -> str:
    """The access list: what is not allowed here is refused."""
    lines: list[str] = []
    for user in sorted(users):
        device = user.removeprefix(DEVICE_PREFIX) if user.startswith(DEVICE_PREFIX) else ""
        rules = _ACCESS["device"] if device else _ACCESS[user]
        lines += [f"user {user}", *(f"topic {rule.format(id=device)}" for rule in rules), ""]
    return "\n".join(lines)


def password_text(passwords: Mapping[str, str]) -> str:
    """Mosquitto's password file, one `user:hash` a line."""
    return "".join(f"{user}:{hash_password(word)}\n" for user, word in sorted(passwords.items()))


def hash_password(password: str, *, salt: bytes | None = None) -> str:
    """Mosquitto's own form: `$7$rounds$salt$hash`, PBKDF2-HMAC-SHA512, both parts in base64.

    101 rounds are Mosquitto's default and enough here: the passwords are 192 random bits.
    """
    salt = secrets.token_bytes(12) if salt is None else salt
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _HASH_ROUNDS)
    return f"$7${_HASH_ROUNDS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def keep_passwords(path: Path, devices: Iterable[str]) -> dict[str, str]:
    """The passwords of all users, made once. A device that was here before keeps its own."""
    passwords: dict[str, str] = {}
    try:
        kept = json.loads(path.read_text())
        passwords = {str(user): str(word) for user, word in kept.items() if _is_user(str(user))}
    except FileNotFoundError:
        pass
    except (OSError, ValueError, AttributeError) as error:
        raise UsageError(
            f"the broker's passwords cannot be read ({error})",
            where=str(path),
            remedy="Remove the file; new passwords are then made, which Home Assistant must be told",
        ) from None
    wanted = [*ROLES, *(DEVICE_PREFIX + device for device in devices)]
    missing = [user for user in wanted if user not in passwords]
    passwords.update({user: secrets.token_urlsafe(24) for user in missing})
    if missing:
        _write(path, json.dumps(passwords, indent=1) + "\n")
    return passwords


def find_mosquitto() -> str:
    """The program's path. Debian keeps it in /usr/sbin, which is not on everybody's PATH."""
    places = os.pathsep.join(["/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin", "/opt/homebrew/bin"])
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path=places)
    if program is None:
        how = "brew install mosquitto" if sys.platform == "darwin" else "sudo apt install mosquitto"
        raise UsageError(
            "Mosquitto, the MQTT broker, is not installed",
            remedy=f"Type: {how}. Or use a broker that you have: --broker mqtt://user:password@host",
        )
    return program


# What is dropped although it says Warning: in our private configuration it is meant to be so.
_CHATTER = re.compile(r"Warning: Mosquitto should not be run as root/administrator\.")

_PHRASES: tuple[tuple[re.Pattern[str], int, str], ...] = (
    (
        re.compile(r"Client <unknown> disconnected, not authorised\."),
        logging.WARNING,
        "somebody was refused: unknown user or wrong password",
    ),
    (
        re.compile(r"Client (\S+) disconnected, not authorised\."),
        logging.WARNING,
        r"\1 was refused: unknown user or wrong password",
    ),
    (
        re.compile(r"Client (\S+) has exceeded timeout, disconnecting\."),
        logging.WARNING,
        r"\1 went silent and was disconnected",
    ),
    (
        re.compile(r"Outgoing messages are being dropped for client (\S+?)\.?"),
        logging.WARNING,
        r"Messages for \1 are dropped: it does not keep up",
    ),
    (re.compile(r"(?:Error|ERROR): (.*)"), logging.ERROR, r"\1"),
    (re.compile(r"(?:Warning|WARNING): (.*)"), logging.WARNING, r"\1"),
)


def translate(line: str) -> tuple[int, str] | None:
    """A line of Mosquitto's log as (level, words), or None for what nobody needs to read."""
    if _CHATTER.fullmatch(line.strip()):
        return None
    for pattern, level, words in _PHRASES:
        if match := pattern.fullmatch(line.strip()):
            return level, match.expand(words)
    return None


def _is_user(name: str) -> bool:
    return name in ROLES or name.startswith(DEVICE_PREFIX)


def _write(path: Path, text: str) -> None:
    """Replace a file, readable by its owner alone from the first byte on."""
    temporary = path.with_name(path.name + ".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    temporary.replace(path)
