"""Groups of commands whose members are imported when they run: each may need libraries of its own."""

from __future__ import annotations

from importlib import import_module
from typing import ClassVar

import click


class Lazily(click.Group):
    """`members`: name → (one line of help, module, attribute)."""

    members: ClassVar[dict[str, tuple[str, str, str]]]

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(self.members)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in self.members:
            return None
        _, module, attribute = self.members[cmd_name]
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command), f"{module}:{attribute} is not a command"
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, said) for name, (said, _, _) in self.members.items()])
