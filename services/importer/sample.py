"""The first rows of a table, looked at column by column."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache

from services.importer.amounts import decimals_of, is_plain
from services.importer.dates import DateFault, orders_of, read_date
from services.importer.mapping import DateOrder
from services.importer.tables.base import Cell

_OFFSET = re.compile(r":\d{2}\S*?\s*(?:Z|UTC|GMT|[+-]\d{2}:?\d{2})$|^\d{13}$")
_EVERY = frozenset(DateOrder)
MOST_WORDS = 60
# Of the values of a column, the share that must be of its kind: here and there somebody wrote n/a.
MOST = 0.9


@dataclass(frozen=True)
class Sample:
    """Names of the columns, and the cells of the first rows."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]

    def values(self, column: str) -> list[Cell]:
        """What is not empty, in the order of the rows."""
        place = self.columns.index(column)
        cells = (row[place] for row in self.rows if place < len(row))
        return [cell for cell in cells if cell is not None and not (isinstance(cell, str) and not cell.strip())]

    def texts(self, column: str) -> list[str]:
        return [text for value in self.values(column) if (text := str(value).strip())]

    def words(self, column: str) -> list[str]:
        """The different texts, in the order in which they come; none of a column in which nearly each is another."""
        found = list(dict.fromkeys(self.texts(column)))
        return found if len(found) <= MOST_WORDS else []

    def is_dates(self, column: str) -> bool:
        """Whether most values are dates, and there is one."""
        return _most(self.values(column), _is_date)

    def no_dates(self, column: str) -> list[Cell]:
        return [value for value in self.values(column) if not _is_date(value)]

    def orders(self, columns: Sequence[str]) -> frozenset[DateOrder]:
        """The orders in which all dates of these columns can be read."""
        found = _EVERY
        for column in columns:
            for value in self.values(column):
                if isinstance(value, str) and _is_date(value):
                    found &= _orders(value)
        return found

    def unordered(self, columns: Sequence[str]) -> str | None:
        """A date that cannot be read without knowing the order; None where there is none."""
        texts = (text for column in columns for text in self.texts(column))
        return next((text for text in texts if _needs_order(text)), None)

    def has_bare_times(self, columns: Sequence[str]) -> bool:
        """Whether the zone of the table matters: some value is a day, or a time without an offset."""
        return any(_is_date(value) and _is_bare(value) for column in columns for value in self.values(column))

    def is_amounts(self, column: str) -> bool:
        """Whether most values are amounts, and there is one."""
        return _most(self.values(column), _is_amount)

    def no_amounts(self, column: str) -> list[Cell]:
        return [value for value in self.values(column) if not _is_amount(value)]

    def decimals(self, column: str) -> frozenset[str]:
        """The ways in which all amounts can be read that depend on it; both where none does."""
        found: frozenset[str] = frozenset(("point", "comma"))
        for text in self.undecided(column):
            found &= decimals_of(text)
        return found

    def undecided(self, column: str) -> list[str]:
        """The amounts that cannot be read without knowing what stands before the cents."""
        texts = [value for value in self.values(column) if isinstance(value, str)]
        return [text for text in texts if _is_amount(text) and not is_plain(text)]


def _most(values: Sequence[Cell], fits: Callable[[Cell], bool]) -> bool:
    return bool(values) and sum(map(fits, values)) >= MOST * len(values)


@lru_cache(100_000)
def _orders(text: str) -> frozenset[DateOrder]:
    try:
        return orders_of(text.strip())
    except DateFault:
        return frozenset()


@lru_cache(100_000)
def _needs_order(text: str) -> bool:
    try:
        read_date(text, None)
    except DateFault:
        return bool(_orders(text))
    return False


def _is_date(value: Cell) -> bool:
    if isinstance(value, str):
        # Thirteen figures are milliseconds in a column of dates, and an id elsewhere.
        return bool(_orders(value))
    return isinstance(value, date | datetime)


def _is_amount(value: Cell) -> bool:
    return not isinstance(value, str) or bool(decimals_of(value))


def _is_bare(value: Cell) -> bool:
    if isinstance(value, datetime):
        return value.tzinfo is None
    if isinstance(value, str):
        return _OFFSET.search(value.strip()) is None
    return isinstance(value, date)
