"""The interface of a table in any file format: named columns, and rows read one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple, Protocol

Cell = str | int | float | Decimal | bool | datetime | date | None


class TableError(Exception):
    """A file cannot be read as a table; the message says why and what to do."""


class Row(NamedTuple):
    """One row: its line in the file, counted from 1, and its cells in the order of the columns."""

    line: int
    cells: list[Cell]


class Table(Protocol):
    """An open file. Rows are read lazily: memory does not grow with the file."""

    columns: list[str]
    guessed_encoding: str | None
    """Set if the bytes are also valid in other encodings, so that letters may be wrong."""

    def rows(self) -> Iterator[Row]:
        """All rows from the first; may be called again."""

    @property
    def share_read(self) -> float:
        """The share of the file that has been read, 0 to 1."""


def column_names(cells: list[Cell], location: str) -> list[str]:
    """The names in the header row; raises TableError if there are none.

    Keeps equal names: they matter only if the mapping names one.
    """
    names = ["" if cell is None else str(cell).strip() for cell in cells]
    while names and not names[-1]:
        names.pop()
    if not any(names):
        raise TableError(f"{location}: the first line has no column names; put them there")
    return names


def fit_to_width(cells: list[Cell], width: int) -> list[Cell]:
    """Pad a row to the number of columns, and drop empty cells beyond it; others stay, for the row's fault."""
    while len(cells) > width and cells[-1] in (None, ""):
        cells.pop()
    return cells + [None] * (width - len(cells))
