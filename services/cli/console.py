"""What commands print with: messages on standard error, plain text from outside, failures in red."""

from __future__ import annotations

import typer
from rich.console import Console

stderr = Console(stderr=True)


def counted(number: int, one: str, many: str) -> str:
    """`1 stage is`, `2 stages are`."""
    return f"{number} {one if number == 1 else many}"


def print_plain(console: Console, text: str) -> None:
    """Print text that may contain names from outside: nothing in it is read as markup, and nothing is wrapped."""
    console.print(text, highlight=False, markup=False, emoji=False, soft_wrap=True)


def fail(message: object) -> typer.Exit:
    """Print the message in red; raise the result to exit with status 1."""
    stderr.print(str(message), style="red", highlight=False, markup=False, emoji=False, soft_wrap=True)
    return typer.Exit(1)


def with_notes(error: Exception) -> str:
    """The error's message and, on lines of their own, the notes added on its way up."""
    return "\n".join((str(error), *getattr(error, "__notes__", ())))
