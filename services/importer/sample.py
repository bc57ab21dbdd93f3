"""The first rows of a table, column by column, and what kind of values each holds."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import lru_cache

from services.importer.amounts import DecimalMark, decimal_marks_of, is_unambiguous
from services.importer.dates import DateFault, month_word, orders_of, separator_of
from services.importer.mapping import DateOrder
from services.importer.tables.base import Cell

_OFFSET = re.compile(r":\d{2}\S*?\s*(?:Z|UTC|GMT|[+-]\d{2}:?\d{2})$|^\d{13}$")
_CLOCK = re.compile(r"\d{1,2}[:h]\d{2}(?::\d{2})?")
_ALL_ORDERS = frozenset(DateOrder)
MAX_WORDS = 60
# The share of a column's values that must be of its kind; the others are n/a and such.
MIN_SHARE = 0.9


@dataclass(frozen=True)
class Sample:
    """Column names, and the cells of the first rows."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]

    def values(self, column: str) -> list[Cell]:
        """The values that are not empty, in the order of the rows."""
        index = self.columns.index(column)
        cells = (row[index] for row in self.rows if index < len(row))
        return [cell for cell in cells if cell is not None and not (isinstance(cell, str) and not cell.strip())]

    def texts(self, column: str) -> list[str]:
        return [text for value in self.values(column) if (text := str(value).strip())]

    def words(self, column: str) -> list[str]:
        """The distinct texts, in the order of the rows; empty if there are too many to be a vocabulary."""
        found = list(dict.fromkeys(self.texts(column)))
        return found if len(found) <= MAX_WORDS else []

    def holds_dates(self, column: str) -> bool:
        """Whether there are values, and nearly all are dates."""
        return _nearly_all(self.values(column), _is_date)

    def non_dates(self, column: str) -> list[Cell]:
        return [value for value in self.values(column) if not _is_date(value)]

    def unique_columns(self) -> list[str]:
        """The columns with unique names: a mapping cannot name the others."""
        return [name for name in self.columns if name and list(self.columns).count(name) == 1]

    def has_times(self, column: str) -> bool:
        """Whether some value has a time of day other than midnight."""
        return any(_has_time(value) for value in self.values(column))

    def differs_within(self, key: str, column: str) -> bool:
        """Whether rows with the same key have different values in the column."""
        first: dict[str, str] = {}
        places = self.columns.index(key), self.columns.index(column)
        pairs = ([str(row[place]) for place in places] for row in self.rows if len(row) > max(places))
        return any(first.setdefault(one, value) != value for one, value in pairs)

    def order_groups(self, columns: Sequence[str]) -> dict[tuple[str, str], frozenset[DateOrder]]:
        """The orders that fit every numeric date, by column and the sign between the numbers."""
        found: dict[tuple[str, str], frozenset[DateOrder]] = {}
        for column in columns:
            for value in self.values(column):
                if isinstance(value, str) and _is_date(value) and (sign := separator_of(value)):
                    found[column, sign] = found.get((column, sign), _ALL_ORDERS) & _orders(value)
        return found

    def ambiguous_date(self, column: str, sign: str) -> str:
        """A date of this form that cannot be read without an order."""
        return next(text for text in self.texts(column) if separator_of(text) == sign and _orders(text))

    def month_words(self, column: str) -> list[str]:
        """The names of months in the dates, each once."""
        texts = dict.fromkeys(value for value in self.values(column) if isinstance(value, str))
        return list(dict.fromkeys(word for text in texts if (word := month_word(text))))

    def needs_time_zone(self, columns: Sequence[str]) -> bool:
        """Whether the table's time zone matters: some value is a day, or a time without an offset."""
        return any(_is_date(value) and _lacks_offset(value) for column in columns for value in self.values(column))

    def holds_amounts(self, column: str) -> bool:
        """Whether there are values, and nearly all are amounts."""
        return _nearly_all(self.values(column), _is_amount)

    def non_amounts(self, column: str) -> list[Cell]:
        return [value for value in self.values(column) if not _is_amount(value)]

    def decimal_marks(self, column: str) -> frozenset[DecimalMark]:
        """The decimal marks with which every amount can be read; both where no amount depends on it."""
        found: frozenset[DecimalMark] = frozenset(("point", "comma"))
        for text in self.ambiguous_amounts(column):
            found &= decimal_marks_of(text)
        return found

    def ambiguous_amounts(self, column: str) -> list[str]:
        """The amounts that cannot be read without a decimal mark."""
        texts = [value for value in self.values(column) if isinstance(value, str)]
        return [text for text in texts if _is_amount(text) and not is_unambiguous(text)]


def _nearly_all(values: Sequence[Cell], fits: Callable[[Cell], bool]) -> bool:
    return bool(values) and sum(map(fits, values)) >= MIN_SHARE * len(values)


@lru_cache(100_000)
def _orders(text: str) -> frozenset[DateOrder]:
    try:
        return orders_of(text.strip())
    except DateFault:
        return frozenset()


def _has_time(value: Cell) -> bool:
    if isinstance(value, datetime):
        return value.time() != time()
    match = _CLOCK.search(value) if isinstance(value, str) else None
    return match is not None and match.group().strip("0:.h") != ""


def is_date_text(text: str) -> bool:
    """Whether a text can be read as a date."""
    return bool(_orders(text))


def _is_date(value: Cell) -> bool:
    if isinstance(value, str):
        # Thirteen digits are milliseconds in a column of dates, and an id elsewhere.
        return bool(_orders(value))
    return isinstance(value, date | datetime)


def _is_amount(value: Cell) -> bool:
    return not isinstance(value, str) or bool(decimal_marks_of(value))


def _lacks_offset(value: Cell) -> bool:
    if isinstance(value, datetime):
        return value.tzinfo is None
    if isinstance(value, str):
        return _OFFSET.search(value.strip()) is None
    return isinstance(value, date)
