"""Reads the cells of a row as the mapping says. A fault names the column, the value and what to do."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from services.importer.amounts import AmountFault, read_amount
from services.importer.dates import DateFault, DateOrders, DateReader, DateSpan
from services.importer.mapping import Mapping
from services.importer.tables.base import Cell, Row
from shared.connectors.base.messages import MAX_CLOCK_SKEW
from shared.policy import StageOutcome
from shared.runtime.instants import micros, moment

MAX_ID_CHARACTERS = 200
MAX_TEXT_CHARACTERS = 4000


class RowFault(Exception):
    """A row cannot be imported: the column, its value, what is wrong and what to do."""

    def __init__(self, column: str, value: Cell, text: str) -> None:
        super().__init__(f"{column}: {value!s:.80} {text}")
        self.column, self.value, self.text = column, value, text


class StageCell(NamedTuple):
    """The table's word for a stage, the stage's id, and what the stage means."""

    word: str
    id: str
    outcome: StageOutcome


class RowReader:
    """Reads the rows of one table. `now`: when the import runs; no date may be later."""

    def __init__(self, mapping: Mapping, columns: list[str], now: datetime) -> None:
        self.mapping = mapping
        self.columns = columns
        self.dates = DateReader(DateOrders(mapping.date_orders, mapping.dates, mapping.months), mapping.timezone)
        self.zone = ZoneInfo(mapping.timezone)
        self.latest = micros(now + MAX_CLOCK_SKEW)
        self.index = {name: index for index, name in enumerate(columns)}
        self.stage_columns = mapping.columns.of_stage
        words = {StageOutcome.WON: mapping.won or (), StageOutcome.LOST: mapping.lost or ()}
        self._outcomes = {word.casefold(): outcome for outcome, some in words.items() for word in some}
        self._stages: dict[str, StageCell] = {}

    def read(self, row: Row) -> Cells:
        """Raises RowFault if there are more cells than columns: a delimiter has split a value."""
        if len(row.cells) > len(self.columns):
            text = f"is one of {len(row.cells)} values for {len(self.columns)} columns; put quotes around the value"
            raise RowFault(self.columns[-1], row.cells[-1], f"{text} that holds the delimiter")
        return Cells(self, row)

    def stage(self, word: str) -> StageCell:
        """What the table's word for a stage, or for won or lost, means."""
        found = self._stages.get(word)
        if found is None:
            stage = self.mapping.stages.get(word, word)
            outcome = self._outcomes.get(word.casefold(), self._outcomes.get(stage.casefold(), StageOutcome.OPEN))
            found = self._stages[word] = StageCell(word, stage, outcome)
        return found


class Cells:
    """The cells of one row. Its stage is read once: it is asked for several times."""

    __slots__ = ("_cells", "_reader", "_stage", "mapping")

    def __init__(self, reader: RowReader, row: Row) -> None:
        self._reader, self._cells = reader, row.cells
        self._stage: StageCell | Literal[False] | None = False
        self.mapping = reader.mapping

    def value(self, column: str) -> Cell:
        return self._cells[self._reader.index[column]]

    def text(self, column: str | None) -> str:
        """Empty if the column is missing or its cell is."""
        if column is None:
            return ""
        cell = self._cells[self._reader.index[column]]
        if isinstance(cell, str):
            text = cell.strip()
            if "\x00" in text:
                raise RowFault(column, cell, "holds a NUL character, which cannot be stored; remove it")
            return text[:MAX_TEXT_CHARACTERS]
        return "" if cell is None else _to_text(cell)

    def free_text(self, column: str | None) -> str:
        """As `text`, for what decides nothing: without NUL characters, which Postgres cannot store."""
        if column is None:
            return ""
        cell = self.value(column)
        if isinstance(cell, str):
            return cell.replace("\x00", "").strip()[:MAX_TEXT_CHARACTERS]
        return self.text(column)

    def past_date(self, column: str | None) -> DateSpan | None:
        """As `date`; raises RowFault also for a date in the future."""
        found = self.date(column)
        if found is not None and column is not None and found.first > self._reader.latest:
            text = "is in the future; correct it, or dates or timezone in the mapping"
            raise RowFault(column, self.value(column), text)
        return found

    def date(self, column: str | None) -> DateSpan | None:
        """None if the column is missing or its cell is empty; raises RowFault."""
        if column is None:
            return None
        cell = self.value(column)
        try:
            return self._reader.dates.read(cell, column)
        except DateFault as error:
            raise RowFault(column, cell, str(error)) from None

    def day(self, column: str | None) -> str | None:
        """The ISO day in the table's zone, for an expected close, which may be in the future."""
        found = self.date(column)
        return found and moment(found.first).astimezone(self._reader.zone).date().isoformat()

    def amount(self) -> str | None:
        column = self.mapping.columns.amount
        if column is None:
            return None
        try:
            return read_amount(self.value(column), self.mapping.decimal)
        except AmountFault as error:
            raise RowFault(column, self.value(column), str(error)) from None

    def deal(self) -> str:
        """The id of the deal; raises RowFault where there is none."""
        column = self.mapping.columns.deal
        text = self.text(column)
        if not text or len(text) > MAX_ID_CHARACTERS:
            raise RowFault(
                column, text, f"is not an id; every row needs one, of at most {MAX_ID_CHARACTERS} characters"
            )
        return text

    def stage(self) -> StageCell | None:
        """The stage of the deal; None where the row has none."""
        if self._stage is False:
            self._stage = self._read_stage()
        return self._stage

    def _read_stage(self) -> StageCell | None:
        columns = self._reader.stage_columns
        word = (
            "/".join(filter(None, map(self.text, columns)))
            if len(columns) > 1
            else self.text(next(iter(columns), None))
        )
        return self._reader.stage(word) if word else None

    def is_ignored(self, stage: StageCell | None) -> bool:
        """Whether the mapping skips rows with this stage."""
        return stage is not None and stage.word in self.mapping.ignore

    def outcome(self) -> StageCell | None:
        """Whether the deal is open, won or lost: by its column of outcomes, else by its stage."""
        word = self.text(self.mapping.columns.outcome)
        found = self._reader.stage(word) if word else None
        return found if found is not None and found.outcome is not StageOutcome.OPEN else self.stage()

    def stage_called(self, word: str) -> StageCell:
        """The stage of a date column."""
        return self._reader.stage(word)


def _to_text(cell: Cell) -> str:
    """Whole numbers without a decimal point: they are ids and codes."""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, Decimal) and cell == cell.to_integral_value():
        return str(int(cell))
    if isinstance(cell, datetime):
        return (cell.astimezone(UTC) if cell.tzinfo else cell).isoformat()
    return str(cell)
