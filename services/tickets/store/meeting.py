"""SQL of what waits for a decision: only what tells which tickets to show, so that thousands cost little."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import NamedTuple

from shared.contracts.tickets import TicketOutcome, TicketState
from shared.postgres.pool import Executor, Record

# When each ticket came into its state, and whether the gain of its last change was lost.
_OPEN = """
SELECT t.id, t.state, t.outcome, t.change_date,
    (SELECT max(c.at) FROM change AS c
        WHERE c.ticket = t.id AND c.to_state = t.state AND c.from_state IS DISTINCT FROM t.state) AS since,
    coalesce((SELECT s.hold FROM study AS s WHERE s.ticket = t.id ORDER BY s.cycle DESC LIMIT 1) = 'decayed', false)
        AS is_lost,
    EXISTS (SELECT FROM plan_draft AS d WHERE d.ticket = t.id) AS has_draft
FROM ticket AS t WHERE t.state <> 'closed' AND t.state <> 'snoozed' AND ($1::text IS NULL OR t.pipeline = $1)
"""
_CLOSED = """
SELECT t.id, t.state, t.outcome, t.change_date, t.closed_at AS since, false AS is_lost, false AS has_draft
FROM ticket AS t WHERE ($1::text IS NULL OR t.pipeline = $1)
"""
_UNDECIDED = f"{_CLOSED} AND t.outcome IN ('verified', 'not-shown', 'restored') AND t.decision IS NULL"
# The problem of a ticket that nobody wanted to change goes on. A newer ticket of it is open where it came back.
_LEFT = f"""
{_CLOSED} AND t.outcome = 'wont-fix' AND t.closed_at <= $2 AND t.problem ->> 'cleared_at' IS NULL
    AND NOT EXISTS (SELECT FROM ticket AS n WHERE n.key = t.key AND n.id > t.id)
"""
_FOUND = """
SELECT DISTINCT ON (ticket) ticket, data ->> 'sentence' AS sentence, data ->> 'effect_sentence' AS effect FROM study
WHERE ticket = ANY($1::bigint[]) ORDER BY ticket, cycle DESC
"""


class WaitingTicket(NamedTuple):
    """A ticket in a state that asks for a decision since `since`. `is_lost`: the gain of its last change is."""

    number: int
    state: TicketState
    outcome: TicketOutcome | None
    change_date: date | None
    since: datetime
    is_lost: bool
    has_draft: bool


async def waiting(executor: Executor, pipeline: str | None, left_before: datetime) -> list[WaitingTicket]:
    """Every ticket that may ask for a decision: open ones, verdicts without one, and what nobody wanted to change,
    closed before an instant.
    """
    rows = await executor.fetch(_OPEN, pipeline)
    rows += await executor.fetch(_UNDECIDED, pipeline)
    rows += await executor.fetch(_LEFT, pipeline, left_before)
    return [_waiting(row) for row in rows]


async def found(executor: Executor, numbers: Collection[int]) -> Mapping[int, Sequence[str]]:
    """What the last study of each ticket found, in sentences."""
    rows = await executor.fetch(_FOUND, list(numbers)) if numbers else []
    return {row["ticket"]: [text for text in (row["sentence"], row["effect"]) if text] for row in rows}


def _waiting(row: Record) -> WaitingTicket:
    return WaitingTicket(
        row["id"],
        TicketState(row["state"]),
        TicketOutcome(row["outcome"]) if row["outcome"] else None,
        row["change_date"],
        row["since"],
        row["is_lost"],
        row["has_draft"],
    )
