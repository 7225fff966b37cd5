"""The command `meerkat`: finds its subcommands by entry point and imports only the one that runs."""

from __future__ import annotations

import difflib
import gc
import os
import sys
from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points, version
from typing import Any, NoReturn

import click

from meerkat_contract.errors import MeerkatError, UsageError

from . import lifeline, logs

ENTRY_POINTS = "meerkat.commands"

# What `meerkat --help` says, and the extra that brings what the command needs. A table rather than
# the commands' own help, so that asking for help on a Pi Zero does not import them all.
SUMMARIES: dict[str, tuple[str, str]] = {
    "up": ("Run everything on this machine until Ctrl-C.", "home"),
    "hub": ("Run the hub: events, pictures, the page.", "hub"),
    "device": ("Publish the cameras and meters of this machine.", "device"),
    "worker": ("Offer this machine's accelerator to a hub.", "worker"),
    "burst": ("Rent machines of AWS when the house is behind.", "cloud"),
    "cloud-worker": ("Look at clips that a hub has sent to the cloud.", "cloud-worker"),
    "ha": ("Show it all in Home Assistant.", ""),
    "submit": ("Send a clip and see what is in it.", ""),
    "watch": ("Follow events as they happen.", ""),
    "check": ("Check a configuration file.", ""),
    "password": ("Show or change what the page asks other machines for.", ""),
    "backup": ("Copy what this house would miss into one file.", ""),
    "restore": ("Put a backup back.", ""),
    "models": ("List and fetch detection models.", "worker"),
    "faces": ("Tell the house whom it may know.", "faces"),
    "meter": ("Read meters in pictures.", "worker"),
    "simulate": ("Run the hub's decisions on a simulated clock.", "hub"),
    "bench": ("Measure this installation.", "home"),
}


class LazyGroup(click.Group):
    """A group whose commands are entry points; listing them imports none."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        installed = set(_commands())
        order = [name for name in SUMMARIES if name in installed]
        return order + sorted(installed - set(order))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        entry = _commands().get(cmd_name)
        return None if entry is None else _load(entry)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as error:  # commands import their libraries when they run
            raise _lacks(ctx.invoked_subcommand or "", error) from error

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        near = difflib.get_close_matches(args[0], self.list_commands(ctx), n=1)
        if near and near[0] != args[0]:
            ctx.fail(f"There is no command {args[0]!r}; did you mean {near[0]!r}?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, SUMMARIES.get(name, ("", ""))[0]) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def _commands() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=ENTRY_POINTS)}


def _load(entry: EntryPoint) -> click.Command:
    try:
        command = entry.load()
    except ModuleNotFoundError as error:
        raise _lacks(entry.name, error) from error
    assert isinstance(command, click.Command), f"{entry.value} is not a command"
    return command


def _lacks(command: str, error: ModuleNotFoundError) -> MeerkatError:
    """What to type when a command's module, or a library that it imports when it runs, is not there."""
    missing = error.name or str(error)
    if missing.startswith("meerkat_"):
        return MeerkatError(
            f"`meerkat {command}` is not part of this installation ({missing} is missing)",
            remedy="Install Meerkat again: pip install --force-reinstall meerkat-home",
        )
    extra = SUMMARIES.get(command, ("", ""))[1]
    wanted = f"meerkat-home[{extra}]" if extra else "meerkat-home"
    return UsageError(
        f"`meerkat {command}` needs {missing}, which is not installed",
        remedy=f"Type: pip install '{wanted}'",
    )


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("meerkat-home"), prog_name="meerkat")
@click.option("-v", "--verbose", is_flag=True, help="Say more, libraries included.")
@click.option("-q", "--quiet", is_flag=True, help="Say only what is wrong.")
@click.pass_context
def cli(ctx: click.Context, verbose: bool, quiet: bool) -> None:
    """Cameras and meters on an MQTT bus, looked at by whatever accelerators the house has."""
    logs.set_up(ctx.invoked_subcommand or "meerkat", verbose=verbose, quiet=quiet)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status; errors are printed in words on stderr."""
    try:
        # click returns an int only for ctx.exit(status); a command's own return value is None.
        status = cli.main(arguments, prog_name="meerkat", standalone_mode=False)
        sys.stdout.flush()
    except MeerkatError as error:
        click.echo(f"error: {error}", err=True)
        return error.exit_status
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return 130
    except BrokenPipeError:
        # The reader (`| head`) has gone. stdout must not complain again when Python flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status if isinstance(status, int) else 0


def main() -> NoReturn:
    """The console script."""
    lifeline.hold()
    status = run()
    # At its end Python looks through all that it holds for garbage, 0.3 s of a hub's. The kernel is quicker.
    gc.freeze()
    sys.exit(status)
