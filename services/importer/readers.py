"""The cells of a row, read by what the mapping says that they hold. What is wrong names column, value and way out."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple
from zoneinfo import ZoneInfo

from services.importer.amounts import AmountFault, read_amount
from services.importer.dates import DateFault, Dates, When
from services.importer.mapping import Mapping
from services.importer.tables.base import Cell, Row
from shared.connectors.base.messages import MAX_CLOCK_SKEW
from shared.policy import StageOutcome
from shared.runtime.instants import micros, moment

LONGEST_ID = 200
LONGEST_TEXT = 4000


class RowFault(Exception):
    """A row cannot be taken: which column, which value, what is wrong and the way out."""

    def __init__(self, column: str, value: Cell, text: str) -> None:
        super().__init__(f"{column}: {value!s:.80} {text}")
        self.column, self.value, self.text = column, value, text


class StageCell(NamedTuple):
    """The word of the table for where a deal is, the stage's id, and what it means."""

    word: str
    id: str
    outcome: StageOutcome


class Readers:
    """How the cells of one table are read. `now` is when the import runs: nothing has happened later."""

    def __init__(self, mapping: Mapping, columns: list[str], now: datetime) -> None:
        self.mapping = mapping
        self.columns = columns
        self.dates = Dates(mapping.dates, mapping.timezone)
        self.zone = ZoneInfo(mapping.timezone)
        self.latest = micros(now + MAX_CLOCK_SKEW)
        self.places = {name: place for place, name in enumerate(columns)}
        said = {StageOutcome.WON: mapping.won or (), StageOutcome.LOST: mapping.lost or ()}
        self._outcomes = {word.casefold(): outcome for outcome, words in said.items() for word in words}
        self._stages: dict[str, StageCell] = {}

    def of(self, row: Row) -> Cells:
        """Raises RowFault where there are more cells than columns: some value was cut in two."""
        if len(row.cells) > len(self.columns):
            text = f"is one of {len(row.cells)} values for {len(self.columns)} columns; put quotes around the value"
            raise RowFault(self.columns[-1], row.cells[-1], f"{text} that holds the delimiter")
        return Cells(self, row)

    def stage(self, word: str) -> StageCell:
        """What a word for a stage, or for won and lost, means."""
        found = self._stages.get(word)
        if found is None:
            number = self.mapping.stages.get(word, word)
            outcome = self._outcomes.get(word.casefold(), self._outcomes.get(number.casefold(), StageOutcome.OPEN))
            found = self._stages[word] = StageCell(word, number, outcome)
        return found


class Cells:
    """One row."""

    __slots__ = ("_cells", "_readers", "mapping")

    def __init__(self, readers: Readers, row: Row) -> None:
        self._readers, self._cells = readers, row.cells
        self.mapping = readers.mapping

    def value(self, column: str) -> Cell:
        return self._cells[self._readers.places[column]]

    def text(self, column: str | None) -> str:
        """Empty where there is no such column, or nothing in it."""
        if column is None:
            return ""
        cell = self._cells[self._readers.places[column]]
        if isinstance(cell, str):
            text = cell.strip()
            if "\x00" in text:
                raise RowFault(column, cell, "holds a NUL character, which cannot be stored; take it out")
            return text[:LONGEST_TEXT]
        return "" if cell is None else _plain(cell)

    def when(self, column: str | None) -> When | None:
        """None where there is no such column, or nothing in it; raises RowFault, also for what lies in the future."""
        found = self.date(column)
        if found is not None and column is not None and found.first > self._readers.latest:
            raise RowFault(
                column, self.value(column), "lies in the future; mend it, or dates or timezone in the mapping"
            )
        return found

    def date(self, column: str | None) -> When | None:
        """As `when`, but the future is good."""
        if column is None:
            return None
        cell = self.value(column)
        try:
            return self._readers.dates.read(cell)
        except DateFault as error:
            raise RowFault(column, cell, str(error)) from None

    def day(self, column: str | None) -> str | None:
        """The day in the zone of the table, as CRMs tell an expected close, which may lie in the future."""
        found = self.date(column)
        return found and moment(found.first).astimezone(self._readers.zone).date().isoformat()

    def amount(self) -> str | None:
        column = self.mapping.columns.amount
        if column is None:
            return None
        try:
            return read_amount(self.value(column), self.mapping.decimal)
        except AmountFault as error:
            raise RowFault(column, self.value(column), str(error)) from None

    def deal(self) -> str:
        column = self.mapping.columns.deal
        text = self.text(column)
        if not text or len(text) > LONGEST_ID:
            raise RowFault(column, text, f"is no id; every row needs one, of at most {LONGEST_ID} characters")
        return text

    def stage(self) -> StageCell | None:
        """Where the row says that the deal is; None where it does not say."""
        columns = self.mapping.columns.of_stage
        word = (
            "/".join(filter(None, map(self.text, columns)))
            if len(columns) > 1
            else self.text(next(iter(columns), None))
        )
        return self._readers.stage(word) if word else None

    def ignored(self, stage: StageCell | None) -> bool:
        """Whether the mapping passes over rows with this stage."""
        return stage is not None and stage.word in self.mapping.ignore

    def outcome(self) -> StageCell | None:
        """What the row says became of the deal: its column of outcomes, else its stage."""
        word = self.text(self.mapping.columns.outcome)
        said = self._readers.stage(word) if word else None
        return said if said is not None and said.outcome is not StageOutcome.OPEN else self.stage()

    def named(self, stage: str) -> StageCell:
        """The stage of a column of dates."""
        return self._readers.stage(stage)


def _plain(cell: Cell) -> str:
    """As text: whole numbers without a point, as ids and codes are meant."""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, Decimal) and cell == cell.to_integral_value():
        return str(int(cell))
    if isinstance(cell, datetime):
        return (cell.astimezone(UTC) if cell.tzinfo else cell).isoformat()
    return str(cell)
