"""SQL of the past of a pipeline: all its visits, for rules that are only tried."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from services.detector.store.history import attributes
from shared.flow.statistics.columns import COLUMNS, Chart, Value, exact_value
from shared.flow.statistics.weeks import Weeks
from shared.flow.visits import Visit
from shared.postgres.pool import Connection, Executor
from shared.runtime.instants import moment

# Doubles hold microseconds until 2106. Whole columns cost a tenth of as many rows.
_MICROS = "array_agg(round(date_part('epoch', {column}) * 1000000)::bigint)"
_VISITS = f"""
SELECT stage, array_agg(deal) AS deals, array_agg(known) AS known, {_MICROS.format(column="entered")} AS entered,
    {_MICROS.format(column="left_at")} AS left_at, {_MICROS.format(column="recorded")} AS recorded
FROM visit WHERE pipeline = $1 AND stage = ANY($2::text[]) AND entered <= $3 GROUP BY stage
"""
_POINTS = """
SELECT pipeline, stage, measure, array_agg(start_at ORDER BY start_at) AS starts,
    array_agg(exact ORDER BY start_at) AS exact
FROM measure JOIN unnest($1::text[], $2::text[], $3::text[]) AS w (pipeline, stage, measure)
    USING (pipeline, stage, measure)
WHERE period = 'week' AND end_at <= $4 GROUP BY pipeline, stage, measure
"""
_STATES = "SELECT deal, state FROM deal WHERE deal = ANY($1::text[])"


class StageVisits(NamedTuple):
    """The visits of a stage, and the deal of each."""

    deals: Sequence[str]
    visits: Sequence[Visit]


class DealLabel(NamedTuple):
    """What a page calls a deal, and its address in the CRM; None where nobody has told."""

    name: str | None
    url: str | None


async def visits(connection: Connection, pipeline: str, stages: Collection[str], as_of: int) -> dict[str, StageVisits]:
    """By stage, the visits entered up to an instant, as they are stored."""
    found = {stage: StageVisits((), ()) for stage in stages}
    for row in await connection.fetch(_VISITS, pipeline, list(stages), moment(as_of)):
        stage = row["stage"]
        columns = zip(row["entered"], row["known"], row["left_at"], row["recorded"], strict=True)
        found[stage] = StageVisits(
            row["deals"],
            [Visit(pipeline, stage, entered, known, left, [], [], told or 0) for entered, known, left, told in columns],
        )
    return found


async def chart_values(
    executor: Executor, charts: Collection[Chart], weeks: Weeks, as_of: int
) -> dict[Chart, list[Value | None]]:
    """The values of charts in the weeks that are over at an instant and computed, week 0 first."""
    wanted = [list(column) for column in zip(*((c.pipeline, c.stage, c.column.value) for c in charts), strict=True)]
    rows = await executor.fetch(_POINTS, *(wanted or ([], [], [])), moment(as_of))
    numbers = {moment(weeks.start(week)): week for week in range(weeks.over(as_of))}
    over = max((numbers.get(row["starts"][-1], -1) for row in rows), default=-1) + 1
    found: dict[Chart, list[Value | None]] = {chart: [None] * over for chart in charts}
    for row in rows:
        chart = Chart(row["pipeline"], row["stage"], COLUMNS[row["measure"]])
        for start, exact in zip(row["starts"], row["exact"], strict=True):
            # Weeks may just have been counted anew, from another first event.
            if start in numbers:
                found[chart][numbers[start]] = exact_value(chart.column, exact)
    return found


async def labels(executor: Executor, deals: Collection[str]) -> dict[str, DealLabel]:
    """By deal."""
    known = attributes(await executor.fetch(_STATES, list(deals)))
    return {deal: DealLabel(one.get("name"), one.get("url")) for deal, one in known.items()}
