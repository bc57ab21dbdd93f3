"""How `andon import` talks to a person: prompts and progress bars on standard error."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import typer

from services.cli.console import print_plain, stderr
from services.cli.progress import counter, load_bars
from services.importer.load import LoadProgress


class TerminalDialog:
    """A `services.importer.wizard.Dialog` on the terminal."""

    def say(self, text: str) -> None:
        """Print a line literally."""
        print_plain(stderr, text)

    def warn(self, text: str) -> None:
        """Print a line in red."""
        stderr.print(text, style="red", highlight=False, soft_wrap=True, markup=False, emoji=False)

    def ask(self, question: str, default: str | None) -> str:
        """The answer to a question; Enter gives the default."""
        return str(typer.prompt(question, default=default, err=True)).strip()

    def confirm(self, question: str) -> None:
        """Raise typer.Abort if the answer is no."""
        typer.confirm(question, abort=True, err=True)

    def counter(self, label: str) -> AbstractContextManager[Callable[[int], None]]:
        """Show a growing count."""
        return counter(label)

    def load_progress(self, total: Callable[[int], int | None]) -> AbstractContextManager[LoadProgress]:
        """Show the steps of a load."""
        return load_bars("events published", total)
