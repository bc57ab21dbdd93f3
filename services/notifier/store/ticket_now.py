"""SQL of the tickets as of their latest changes: what reminders, escalations and reports are made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from services.notifier.domain import remind
from services.notifier.domain.reasons import takes_verdict_back
from shared.contracts.tickets import TicketChange, TicketData, TicketState
from shared.postgres.pool import Connection, Record

# Locked until the transaction ends: a change and a reminder of one ticket wait for each other.
_FIND = """
SELECT seq, at, state, state_at, data -> 'plan' ->> 'hash' AS plan, waits_from, reminded FROM ticket_now
WHERE ticket = $1 AND key = $2 AND opened_at = $3 FOR UPDATE
"""
_SAVE = """
INSERT INTO ticket_now (ticket, key, opened_at, seq, at, known_at, home, state, state_at, data, chart, chart_alt,
    waits_from, reminded, remind_on, verdict_at, verdict)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
ON CONFLICT (ticket, key, opened_at) DO UPDATE SET seq = excluded.seq, at = greatest(ticket_now.at, excluded.at),
    known_at = excluded.known_at, home = excluded.home, state = excluded.state, state_at = excluded.state_at,
    data = excluded.data, chart = coalesce(excluded.chart, ticket_now.chart),
    chart_alt = coalesce(excluded.chart_alt, ticket_now.chart_alt), waits_from = excluded.waits_from,
    reminded = excluded.reminded, remind_on = excluded.remind_on,
    verdict_at = CASE WHEN NOT $18 THEN coalesce(excluded.verdict_at, ticket_now.verdict_at) END,
    verdict = CASE WHEN NOT $18 THEN coalesce(excluded.verdict, ticket_now.verdict) END
"""
# By the wall clock for escalations, by the day of the log's clock for reminders.
_DUE = """
SELECT t.*, waits_from + p.within <= $3 AS is_late
FROM ticket_now AS t LEFT JOIN unnest($1::text[], $2::interval[]) AS p (home, within) USING (home)
WHERE waits_from + p.within <= $3 OR remind_on <= $4
ORDER BY ticket LIMIT 1 FOR UPDATE OF t SKIP LOCKED
"""
_REMINDED = """
UPDATE ticket_now SET reminded = $4, remind_on = $5, waits_from = CASE WHEN $6 THEN NULL ELSE waits_from END
WHERE ticket = $1 AND key = $2 AND opened_at = $3
"""
_OF_REPORT = """
SELECT home, state, state_at, verdict_at, verdict, data, chart, chart_alt FROM ticket_now
WHERE home = ANY($1::text[]) AND (state <> 'closed' OR verdict_at >= $2) ORDER BY ticket_now.opened_at
"""
_OPENED = """
SELECT home, count(*) AS opened FROM ticket_now
WHERE home = ANY($1::text[]) AND opened_at > $2 AND data ->> 'chance' IS NOT NULL AND data ->> 'kind' = ANY($3::text[])
GROUP BY home
"""
# The time to acknowledge begins anew with these, whatever the state was before.
_ASK = (TicketChange.OPENED, TicketChange.REOPENED)


@dataclass(frozen=True)
class DueTicket:
    """A ticket that has something due: it is late to be acknowledged, or has reminders on days after `reminded`."""

    facts: TicketData
    is_late: bool
    reminded: date


async def save(
    connection: Connection, facts: TicketData, home: str, now: datetime, waits_from: datetime, day: date
) -> TicketState | None:
    """Keep the ticket of a change; the state before it. An older change than the kept one is left out.

    `waits_from`: from when on the time to acknowledge it would count. `day`: no reminder is for a day up to this one,
    where the plan is new.
    """
    row = await connection.fetchrow(_FIND, facts.ticket, facts.key, facts.opened_at)
    before = TicketState(row["state"]) if row else None
    if row is not None and facts.seq <= row["seq"] and facts.at <= row["at"]:
        return before
    plan, is_verdict = facts.plan.hash if facts.plan else None, facts.change is TicketChange.VERDICT
    reminded = row["reminded"] if row and row["plan"] == plan else day
    await connection.execute(
        _SAVE,
        *(facts.ticket, facts.key, facts.opened_at, facts.seq, facts.at, now, home, facts.state.value),
        row["state_at"] if row and before is facts.state else facts.at,
        facts.model_dump(mode="json", exclude={"chart_png", "evidence"}),
        *(facts.chart_png, facts.chart_alt if facts.chart_png else None),
        _waits_from(facts, row, before, waits_from),
        *(reminded, remind.next_reminder(facts, reminded)),
        *((now, facts.study.model_dump(mode="json")) if is_verdict and facts.study else (None, None)),
        takes_verdict_back(facts.change, before),
    )
    return before


def _waits_from(
    facts: TicketData, row: Record | None, before: TicketState | None, waits_from: datetime
) -> datetime | None:
    if facts.state is not TicketState.OPEN:
        return None
    if row is None or before is not TicketState.OPEN or facts.change in _ASK:
        return waits_from
    kept: datetime | None = row["waits_from"]
    # A cord that is pulled again puts no escalation off; after one it asks again.
    return waits_from if kept is None and facts.change is TicketChange.PULLED else kept


async def next_due(
    connection: Connection, within: Mapping[str, timedelta], now: datetime, day: date
) -> DueTicket | None:
    """One ticket that has something due, locked. `within`: how long tickets of a pipeline may wait."""
    row = await connection.fetchrow(_DUE, list(within), list(within.values()), now, day)
    if row is None:
        return None
    data = row["data"] | {"chart_png": row["chart"], "chart_alt": row["chart_alt"]}
    return DueTicket(TicketData.model_validate(data), bool(row["is_late"]), row["reminded"])


async def reminded(connection: Connection, due: DueTicket, day: date) -> None:
    """What was due up to a day is written."""
    facts, until = due.facts, max(day, due.reminded)
    following = remind.next_reminder(facts, until)
    await connection.execute(_REMINDED, facts.ticket, facts.key, facts.opened_at, until, following, due.is_late)


async def of_report(connection: Connection, homes: list[str], since: datetime) -> list[Record]:
    """Open tickets of pipelines, and those with a verdict since a time, the oldest first."""
    return list(await connection.fetch(_OF_REPORT, homes, since))


async def opened_by_rules(
    connection: Connection, homes: list[str], since: datetime, kinds: list[str]
) -> dict[str, int]:
    """How many tickets of these kinds each pipeline opened since a time."""
    return {row["home"]: row["opened"] for row in await connection.fetch(_OPENED, homes, since, kinds)}
