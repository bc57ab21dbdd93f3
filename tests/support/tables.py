"""A simulated history as the tables that a CRM would export: in each shape, as a person's settings write them."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import openpyxl
import pyarrow
from pyarrow import parquet

from services.simulator.model import DealChange

Cells = Sequence[Any]
CLOSED = {"new_won", "new_lost", "enterprise_won", "enterprise_lost"}
# How dates are written, whether they have seconds, and the order to answer if the import asks for it.
FORMS = {
    "iso": ("%Y-%m-%d %H:%M:%S", None),
    "offset": ("%Y-%m-%dT%H:%M:%S%z", None),
    "german": ("%d.%m.%Y %H:%M:%S", "dmy"),
    "american": ("%m/%d/%Y %I:%M:%S %p", "mdy"),
    "named": ("%d %B %Y, %H:%M:%S", None),
    "iso day": ("%Y-%m-%d", None),
    "german day": ("%d.%m.%Y", "dmy"),
    "british day": ("%d/%m/%y", "dmy"),
    "american day": ("%m/%d/%Y", "mdy"),
}


@dataclass
class TableDeal:
    """One deal: what it is, when it was created, its stages with the time of each, and its end."""

    deal: str
    said: dict[str, Any]
    created: datetime
    stages: list[tuple[str, datetime]] = field(default_factory=list)
    end: tuple[str, datetime] | None = None

    @property
    def returned(self) -> bool:
        """Whether it came to a stage twice."""
        return len({stage for stage, _ in self.stages}) < len(self.stages)


def lives(history: Sequence[DealChange]) -> list[TableDeal]:
    found: dict[int, TableDeal] = {}
    for one in history:
        life = found.setdefault(one.deal, TableDeal(str(one.deal), one.properties, one.time))
        stage = one.properties.get("dealstage")
        if stage in CLOSED:
            life.end = (stage, one.time)
        elif stage:
            life.stages.append((stage, one.time))
    return list(found.values())


Write = Callable[[datetime | None], Any]
HEAD = ["Record ID", "Deal Name", "Pipeline", "Amount", "Deal owner"]


def _about(life: TableDeal, amount: Callable[[str], str]) -> list[Any]:
    return [life.deal, life.said["dealname"], life.said["pipeline"], amount(life.said["amount"]), "Somebody Real"]


def changes(some: Sequence[TableDeal], write: Write, amount: Callable[[str], str]) -> list[Cells]:
    rows: list[Cells] = [[*HEAD, "Stage", "Changed at"]]
    for life in some:
        for stage, at in [*life.stages, *([life.end] if life.end else [])]:
            rows.append([*_about(life, amount), stage, write(at)])
    return rows


def stages(some: Sequence[TableDeal], write: Write, amount: Callable[[str], str]) -> list[Cells]:
    names = list(dict.fromkeys(stage for life in some for stage, _ in life.stages))
    rows: list[Cells] = [[*HEAD, "Deal Stage", "Create Date", *(f'Date entered "{n}"' for n in names), "Close Date"]]
    for life in some:
        entered, last = dict(life.stages), life.end[0] if life.end else life.stages[-1][0]
        dates = [write(entered.get(name)) for name in names]
        rows.append(
            [*_about(life, amount), last, write(life.created), *dates, write(life.end[1] if life.end else None)]
        )
    return rows


def last_stage(some: Sequence[TableDeal], write: Write, amount: Callable[[str], str]) -> list[Cells]:
    rows: list[Cells] = [[*HEAD, "Stage", "Created Date", "Last Stage Change Date", "Close Date"]]
    for life in some:
        last = life.end[0] if life.end else life.stages[-1][0]
        entered, ended = life.stages[-1][1], life.end[1] if life.end else None
        rows.append([*_about(life, amount), last, write(life.created), write(entered), write(ended)])
    return rows


def texts(form: str, zone: str) -> Write:
    """Dates as text."""

    def write(at: datetime | None) -> str:
        return "" if at is None else at.astimezone(ZoneInfo(zone)).strftime(FORMS[form][0])

    return write


def values(form: str, zone: str) -> Write:
    """Dates as a workbook keeps them: without an offset."""

    def write(at: datetime | None) -> date | datetime | None:
        if at is None:
            return None
        local = at.astimezone(ZoneInfo(zone)).replace(tzinfo=None, microsecond=0)
        return local.date() if form.endswith("day") else local

    return write


def as_csv(rows: Sequence[Cells], path: Path, delimiter: str, encoding: str, packed: bool = False) -> None:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows(rows)
    data = text.getvalue().encode(encoding)
    path.write_bytes(gzip.compress(data) if packed else data)


def as_excel(rows: Sequence[Cells], path: Path) -> None:
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("Deals")
    for row in rows:
        sheet.append(list(row))
    book.save(path)


def as_parquet(rows: Sequence[Cells], path: Path) -> None:
    columns = dict(zip(rows[0], map(list, zip(*rows[1:], strict=True)), strict=True))
    parquet.write_table(pyarrow.table(columns), path)
