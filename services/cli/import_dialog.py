"""How `andon import` talks to a person: prompts and progress bars on standard error."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import typer

from services.cli.console import errors
from services.cli.load_steps import steps
from services.cli.progress import counting
from services.importer.load import LoadProgress


class TerminalDialog:
    """A `services.importer.wizard.Dialog` on the terminal."""

    def say(self, text: str) -> None:
        errors.print(text, highlight=False, soft_wrap=True, markup=False)

    def warn(self, text: str) -> None:
        errors.print(text, style="red", highlight=False, soft_wrap=True, markup=False)

    def ask(self, question: str, default: str | None) -> str:
        return str(typer.prompt(question, default=default, err=True)).strip()

    def confirm(self, question: str) -> None:
        typer.confirm(question, abort=True, err=True)

    def counter(self, label: str) -> AbstractContextManager[Callable[[int], None]]:
        return counting(label)

    def load_progress(self, total: Callable[[int], int | None]) -> AbstractContextManager[LoadProgress]:
        return steps("events published", errors, total)
