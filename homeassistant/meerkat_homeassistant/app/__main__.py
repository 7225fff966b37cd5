"""Start Meerkat as an app of Home Assistant: `python -m meerkat_homeassistant.app`, from its run.sh."""

from __future__ import annotations

import argparse
import os
import pwd
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from meerkat_contract import configfile
from meerkat_contract.connection import BrokerSettings, Connection
from meerkat_contract.errors import MeerkatError

from .options import Options, environment, read
from .supervisor import ADDRESS, Supervisor

FOLDER = "meerkat"
"""Of the app's /data, where all is kept: config.yaml leaves its clips out of backups."""

EMPTY = """# Nothing is set here: the app's options travel as variables.
# What the form does not offer goes into meerkat.yaml in the app's own folder, addon_configs.
hub: {}
"""


@dataclass(frozen=True)
class Start:
    """What is to be started: the program and its environment."""

    argv: tuple[str, ...]
    environment: dict[str, str]


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Becomes `meerkat up`, or says what is wrong and ends with its status."""
    parser = argparse.ArgumentParser(prog="meerkat_homeassistant.app", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("/data"), help="with options.json, of the app")
    parser.add_argument("--config", type=Path, default=Path("/config"), help="may hold a meerkat.yaml")
    parser.add_argument("--supervisor", default=ADDRESS)
    parser.add_argument("--http-port", type=int, default=8480, help="ingress_port of config.yaml")
    given = parser.parse_args(arguments)
    try:
        start = prepare(
            given.data,
            given.config,
            Supervisor(os.environ.get("SUPERVISOR_TOKEN", ""), given.supervisor),
            port=given.http_port,
        )
        leave_root(os.environ.get("MEERKAT_USER", ""), given.data / FOLDER)
    except MeerkatError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        sys.exit(error.exit_status)
    os.execve(start.argv[0], start.argv, start.environment)


def prepare(data: Path, config: Path, supervisor: Supervisor, *, port: int) -> Start:
    """Ask the Supervisor, check the configuration, and say how to start. Raises MeerkatError.

    What the form says goes before what meerkat.yaml in the app's own folder says.
    """
    options = read(data / "options.json")
    folder = data / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    file = config / configfile.FILE_NAME
    if not file.is_file():
        file = folder / configfile.FILE_NAME
        file.unlink(missing_ok=True)  # root writes here, in somebody else's folder: no link is followed
        file.write_text(EMPTY)
    made = {
        **{name: value for name, value in os.environ.items() if name != "SUPERVISOR_TOKEN"},
        **environment(options, port=port, page=_page(supervisor)),
        "MEERKAT_LOG": options.log,
    }
    broker = _broker(options, file, supervisor)
    if broker is not None:
        made["MEERKAT_BROKER"] = broker.secret_url
    up = ("up", "--config", str(file), "--data", str(folder), *(() if options.demo else ("--no-demo",)))
    return Start((sys.executable, "-P", "-m", "meerkat_cli", *up), made)


def _page(supervisor: Supervisor) -> str:
    """The page's address within Home Assistant, which its devices link to; without it they do not."""
    try:
        slug = supervisor.slug()
    except MeerkatError as error:
        print(f"The devices will not link to Meerkat's page: {error}", file=sys.stderr, flush=True)
        return ""
    return f"homeassistant://app/{slug}" if slug else ""


def _broker(options: Options, file: Path, supervisor: Supervisor) -> Connection | None:
    """The one of the form, else that of meerkat.yaml (None: `meerkat up` reads it), else the house's."""
    named = options.own_broker
    if named is None and not configfile.section(file, "broker", BrokerSettings).url:
        named = supervisor.broker()
    return named


def leave_root(user: str, folder: Path) -> None:
    """Become `user`, to whom `folder` then belongs; with no user named, or for one who is not root, nothing.

    The Supervisor's files are root's, and what decodes videos need not be root. Raises MeerkatError.
    """
    if not user or os.geteuid() != 0:
        return
    try:
        entry = pwd.getpwnam(user)
        if folder.stat().st_uid != entry.pw_uid:
            for path in (folder, *folder.rglob("*")):
                os.chown(path, entry.pw_uid, entry.pw_gid, follow_symlinks=False)
        for made in folder.glob(configfile.FILE_NAME):
            os.chown(made, entry.pw_uid, entry.pw_gid, follow_symlinks=False)
        os.initgroups(user, entry.pw_gid)
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)
    except (OSError, KeyError) as error:
        raise MeerkatError(
            f"cannot become the user {user} ({error})",
            where=str(folder),
            remedy="Check who owns the app's /data; a new installation of the app makes it anew",
        ) from error


if __name__ == "__main__":
    main()
