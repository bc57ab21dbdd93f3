"""What commands print with: results on standard output, messages on standard error, failures in red.

Results are never wrapped or cut at any width of the terminal, and text from outside is printed literally.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Annotated, Any

import orjson
import typer
from rich.cells import cell_len
from rich.console import Console

stderr = Console(stderr=True)


class OutputForm(StrEnum):
    """Text for people, JSON for programs."""

    TEXT = "text"
    JSON = "json"


FormatOption = Annotated[OutputForm, typer.Option("--format", help="Text for people, JSON for programs.")]


def counted(number: int, one: str, many: str) -> str:
    """`1 stage is`, `2 stages are`."""
    return f"{number} {one if number == 1 else many}"


def printable(text: str) -> str:
    """Escape control characters: text from outside may contain commands to the terminal."""
    return "".join(c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in text)


def print_line(text: str) -> None:
    """Print to standard output, whole and literally."""
    typer.echo(printable(text))


def print_json(document: Any) -> None:
    """Print to standard output, indented."""
    typer.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())


def print_plain(console: Console, text: str, style: str | None = None) -> None:
    """Print text that may contain names from outside: nothing in it is read as markup, and nothing is wrapped."""
    console.print(printable(text), style=style, highlight=False, markup=False, emoji=False, soft_wrap=True)


def message(text: str) -> None:
    """Print to standard error, whole and literally."""
    print_plain(stderr, text)


def warn(text: object) -> None:
    """Print to standard error in red, whole and literally."""
    print_plain(stderr, str(text), "red")


def aligned(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines of a table, whose columns are as wide as their widest cell."""
    cells = [list(header), *([" ".join(printable(cell).split()) for cell in row] for row in rows)]
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        padded = (cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(padded).rstrip()


def fail(reason: object) -> typer.Exit:
    """Print the reason in red; raise the result to exit with status 1."""
    warn(_plain(reason))
    return typer.Exit(1)


def with_notes(error: Exception) -> str:
    """The error's message and, on lines of their own, the notes added on its way up."""
    return "\n".join((str(_plain(error)), *getattr(error, "__notes__", ())))


def _plain(reason: object) -> object:
    """What is wrong with a file in plain words, not in Python's."""
    if isinstance(reason, OSError) and reason.filename and reason.strerror:
        return f"{reason.filename}: {reason.strerror}; name another file, or change its permissions"
    return reason
