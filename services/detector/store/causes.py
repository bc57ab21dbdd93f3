"""SQL of cause classes: those of published problems, which of them may have changed, and the charts that decide."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from fractions import Fraction
from typing import NamedTuple

from shared.contracts.problems import CauseClass, Mode
from shared.flow.intervals import Interval
from shared.flow.statistics.cause import Cause
from shared.flow.statistics.columns import Chart, Column, Value
from shared.flow.statistics.weeks import Weeks
from shared.postgres.pool import Connection, Executor, Record
from shared.runtime.instants import micros, moment

_SAVE = """
UPDATE problem SET cause = w.cause, cause_points = w.points, cause_needed = w.needed
FROM unnest($1::text[], $2::timestamptz[], $3::text[], $4::int[], $5::int[]) AS w (key, at, cause, points, needed)
WHERE problem.key = w.key AND problem.opened_at = w.at
"""
_MARK = "INSERT INTO stale_cause VALUES ($1, $2)"
_IS_STALE = "SELECT EXISTS (SELECT FROM stale_cause)"
_TAKE = """
WITH taken AS (DELETE FROM stale_cause RETURNING at, since)
SELECT key, opened_at, cleared_at, peak, mode, historic, cause, cause_points, cause_needed FROM problem AS p
WHERE key = ANY($1::text[]) AND EXISTS (
    SELECT FROM taken AS t WHERE p.opened_at >= to_timestamp(greatest(t.at, 0) / 1000000)
        AND (p.cleared_at IS NULL OR p.cleared_at > to_timestamp(greatest(t.since, 0) / 1000000))
)
ORDER BY opened_at
"""
_STATE = "SELECT first_event, over FROM week_state"
_POINTS = """
SELECT measure, start_at, exact FROM measure
WHERE pipeline = $1 AND stage = $2 AND measure = ANY($3::text[]) AND period = 'week'
"""


class KnownWeeks(NamedTuple):
    """Weeks are counted from that of the first event; `over` of them are computed."""

    first_event: int
    over: int


class PublishedCause(NamedTuple):
    """A published problem interval, and the cause class that it was published with."""

    key: str
    interval: Interval
    mode: Mode
    historic: bool
    cause: CauseClass
    points: int | None
    needed: int | None


async def save(connection: Executor, causes: Mapping[tuple[str, int], Cause]) -> None:
    """Save the cause classes of problems, given by (key, opened at)."""
    if causes:
        found = list(causes.values())
        await connection.execute(
            _SAVE,
            [key for key, _ in causes],
            [moment(at) for _, at in causes],
            [one.cause.value for one in found],
            [one.points for one in found],
            [one.needed for one in found],
        )


async def mark(connection: Executor, at: int, since: int) -> None:
    """Mark problems that opened at an instant or later, and did not clear by `since`: their cause class may change."""
    await connection.execute(_MARK, at, since)


async def is_stale(connection: Executor) -> bool:
    """Whether any cause class may have changed."""
    return bool(await connection.fetchval(_IS_STALE))


async def take_stale(connection: Connection, keys: Collection[str]) -> list[PublishedCause]:
    """Take the marks; returns the problems of these keys that they cover, in the order of opening."""
    return [_published(row) for row in await connection.fetch(_TAKE, list(keys))]


async def known_weeks(connection: Executor) -> KnownWeeks | None:
    """How far weekly measures are computed; None before the first event."""
    row = await connection.fetchrow(_STATE)
    return None if row is None or row["first_event"] is None else KnownWeeks(*row)


async def chart_values(
    connection: Executor, pipeline: str, stage: str, columns: Iterable[Column], known: KnownWeeks, weeks: Weeks
) -> dict[Chart, list[Value | None]]:
    """The values of a stage's charts in all weeks that are computed."""
    found: dict[Chart, list[Value | None]] = {Chart(pipeline, stage, one): [None] * known.over for one in columns}
    names = [chart.column.value for chart in found]
    for row in await connection.fetch(_POINTS, pipeline, stage, names):
        column, week = Column(row["measure"]), weeks.of(micros(row["start_at"]))
        if 0 <= week < known.over and row["exact"] is not None:
            value = Fraction(row["exact"]) * column.scale
            found[Chart(pipeline, stage, column)][week] = value.numerator if value.denominator == 1 else value
    return found


def _published(row: Record) -> PublishedCause:
    cleared = None if row["cleared_at"] is None else micros(row["cleared_at"])
    return PublishedCause(
        row["key"],
        Interval(micros(row["opened_at"]), cleared, row["peak"]),
        Mode(row["mode"]),
        row["historic"],
        CauseClass(row["cause"]),
        row["cause_points"],
        row["cause_needed"],
    )
