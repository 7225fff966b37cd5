"""`meerkat meter`: read meters in pictures. Each subcommand lies in its own module, loaded when it runs."""

from __future__ import annotations

from importlib import import_module

import click

COMMANDS = {
    "read": ("meerkat_inference.meter.reading_command:read", "Read the meter in pictures."),
    "draw": ("meerkat_inference.meter.reading_command:draw", "Show what a layout says on its picture."),
    "propose": ("meerkat_inference.meter.propose.command:propose", "Find wheels and dials, write a layout."),
    "wheel": ("meerkat_inference.meter.crop_command:wheel", "Read crops of single wheels."),
    "needle": ("meerkat_inference.meter.crop_command:needle", "Read crops of single dials."),
    "examples": (
        "meerkat_inference.meter.examples_command:examples",
        "Cut corrected pictures up, to train with.",
    ),
}
"""Name: what runs it, and what `--help` says of it."""


class _Group(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command = getattr(import_module(module), name)
        assert isinstance(command, click.Command), f"{module}:{name} is not a command"
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, says) for name, (_, says) in COMMANDS.items()])


@click.group(cls=_Group)
def meter() -> None:
    """Read water, gas and electricity meters in pictures."""
