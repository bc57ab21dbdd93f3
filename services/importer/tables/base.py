"""What a table is, whatever file it lies in: a head of columns, and rows that are read one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple, Protocol

Cell = str | int | float | Decimal | bool | datetime | date | None


class TableError(Exception):
    """A file cannot be read as a table; the message says why and the way out."""


class Row(NamedTuple):
    """One row: where it stands in the file (the first line is 1), and its cells in the order of the columns."""

    line: int
    cells: list[Cell]


class Table(Protocol):
    """An open file. Rows are read as they are asked for: memory does not grow with the file."""

    columns: list[str]
    guessed: str | None  # the encoding, where letters could be others than they are read as

    def rows(self) -> Iterator[Row]:
        """Every row from the first on; may be called again."""

    @property
    def read(self) -> float:
        """The share of the file that is read, 0 to 1."""


def head(cells: list[Cell], place: str) -> list[str]:
    """The names of the columns; raises TableError where they cannot be told apart."""
    names = ["" if cell is None else str(cell).strip() for cell in cells]
    while names and not names[-1]:
        names.pop()
    if not any(names):
        raise TableError(f"{place}: the first line names no columns; let it hold their names")
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise TableError(f"{place}: column {', '.join(map(repr, twice))} stands twice; give each a name of its own")
    return names


def fitted(cells: list[Cell], width: int) -> list[Cell]:
    """At least as many cells as there are columns; empty ones beyond them are left out, others stay to be told of."""
    while len(cells) > width and cells[-1] in (None, ""):
        cells.pop()
    return cells + [None] * (width - len(cells))
