"""What is asked of the person; with --yes everything takes its default, and what has none is an error."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import click

from meerkat_contract.errors import UsageError


class Questions:
    def __init__(self, *, yes: bool) -> None:
        self.yes = yes

    def say(self, text: str = "") -> None:
        click.echo(text)

    def ask(
        self,
        text: str,
        default: str | None = None,
        *,
        option: str,
        hidden: bool = False,
        check: Callable[[str], object] = str,
    ) -> str:
        """A line of text. `option` answers it for scripts; raises UsageError when nobody does.

        What `check` refuses (UsageError) is asked for again.
        """
        if self.yes:
            if default is None:
                raise UsageError(f"{text} is not known", where=option, remedy=f"Name it by {option}")
            check(default)
            return default

        def checked(answer: str) -> str:
            answer = answer.strip()
            try:
                check(answer)
            except UsageError as error:
                raise click.UsageError(str(error)) from error
            return answer

        shown = not hidden and bool(default)
        answer: str = click.prompt(
            text, default=default, hide_input=hidden, show_default=shown, value_proc=checked
        )
        return answer

    def sure(self, text: str, *, default: bool) -> bool:
        return default if self.yes else click.confirm(text, default=default)

    def choose(self, text: str, choices: Sequence[str], *, default: int) -> int:
        """The index of one of the choices."""
        for number, choice in enumerate(choices, 1):
            self.say(f"  {number}  {choice}")
        if self.yes:
            return default
        answer: int = click.prompt(text, type=click.IntRange(1, len(choices)), default=default + 1)
        return answer - 1
