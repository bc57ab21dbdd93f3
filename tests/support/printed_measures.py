"""Weekly measures as they are printed in `expected-measures.csv`, read as exact values: shares from their counts."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from fractions import Fraction
from pathlib import Path
from zoneinfo import ZoneInfo

from shared.flow.statistics.columns import Chart, Column, Value
from shared.flow.statistics.weeks import Weeks
from shared.runtime.instants import micros

_SHARES = {
    Column.REWORK_RATE: ("rework", ("arrivals",)),
    Column.WIN_RATE: ("won", ("won", "lost")),
    Column.PUSHED_SHARE: ("pushed", ("open_with_close",)),
}


def weeks_and_values(path: Path, zone: str) -> tuple[Weeks, Mapping[Chart, list[Value | None]]]:
    """The weeks from the first row's on, and the values of each chart by week."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    first = min(row["period"] for row in rows)
    year, _, number = first.partition("-W")
    monday = datetime.combine(date.fromisocalendar(int(year), int(number), 1), time(12), ZoneInfo(zone))
    weeks = Weeks(micros(monday.astimezone(UTC)), zone)
    values: dict[Chart, list[Value | None]] = {}
    for row in sorted(rows, key=lambda row: row["period"]):
        for column in Column:
            if column.value in row and column.of_pipeline == (not row["stage"]):
                chart = Chart(row["pipeline"], row["stage"], column)
                assert len(values.setdefault(chart, [])) == weeks.number(row["period"])
                values[chart].append(_value(row, column))
    return weeks, values


def _value(row: Mapping[str, str], column: Column) -> Value | None:
    if not row[column.value]:
        return None
    if column in _SHARES:
        part, whole = _SHARES[column]
        return Fraction(int(row[part]), sum(int(row[one]) for one in whole))
    return Fraction(row[column.value]) * column.scale
