"""SQL of the past of a pipeline: all its visits, for rules that are only tried."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from services.detector.store.history import attributes
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


async def labels(executor: Executor, deals: Collection[str]) -> dict[str, DealLabel]:
    """By deal."""
    known = attributes(await executor.fetch(_STATES, list(deals)))
    return {deal: DealLabel(one.get("name"), one.get("url")) for deal, one in known.items()}
