"""SQL of the tickets: tickets and their changes, problems and measures that are drawn, mails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from services.tickets.domain.lifecycle import Ticket, TicketStep
from shared.contracts.measures import MeasureData
from shared.contracts.notices import NoticeData
from shared.contracts.problems import ProblemData
from shared.contracts.stages import StageStatusData
from shared.contracts.tickets import TicketOutcome, TicketState

_COLUMNS = "id, key, state, seq, opened_at, changed_at, problem, outcome, closed_at, snoozed_until"
_LAST = f"SELECT {_COLUMNS} FROM ticket WHERE key = $1 ORDER BY id DESC LIMIT 1 FOR UPDATE"
_ONE = f"SELECT {_COLUMNS} FROM ticket WHERE id = $1"
_INSERT = """
INSERT INTO ticket (key, kind, pipeline, state, seq, opened_at, changed_at, problem)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id
"""
_UPDATE = """
UPDATE ticket SET state = $2, seq = $3, changed_at = $4, problem = $5, outcome = $6, closed_at = $7, snoozed_until = $8
WHERE id = $1
"""
_CHANGE = "INSERT INTO change (ticket, seq, change, at, actor, reason) VALUES ($1, $2, $3, $4, $5, $6)"
_TAKE = "INSERT INTO inbox (id) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING RETURNING id"
_PROBLEM = """
INSERT INTO problem (key, opened_at, cleared_at, peak, mode, historic, data) VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (key, opened_at) DO UPDATE SET cleared_at = excluded.cleared_at, peak = excluded.peak, data = excluded.data
"""
_DROP_PROBLEM = "DELETE FROM problem WHERE key = $1 AND opened_at = $2"
_MEASURES = """
INSERT INTO measure (pipeline, stage, measure, end_at, value)
SELECT DISTINCT ON (p, s, m, e) p, s, m, e, v
FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::float8[])
    WITH ORDINALITY AS w (p, s, m, e, v, n) ORDER BY p, s, m, e, n DESC
ON CONFLICT (pipeline, stage, measure, end_at) DO UPDATE SET value = excluded.value
"""
_STAGES = """
INSERT INTO stage (pipeline, stage, name, watched, deals, hint)
SELECT DISTINCT ON (p, s) p, s, name, watched, deals, hint
FROM unnest($1::text[], $2::text[], $3::text[], $4::bool[], $5::int[], $6::text[])
    WITH ORDINALITY AS w (p, s, name, watched, deals, hint, n) ORDER BY p, s, n DESC
ON CONFLICT (pipeline, stage) DO UPDATE SET name = excluded.name, watched = excluded.watched, deals = excluded.deals,
    hint = excluded.hint
"""
_NAMES = "SELECT pipeline, stage, name FROM stage WHERE name IS NOT NULL"
_UNWATCHED = """
SELECT pipeline, stage, name, deals, hint FROM stage WHERE NOT watched AND deals > 0
ORDER BY deals DESC, pipeline, stage
"""
_NOTICES = """
INSERT INTO notice (notice, ticket, reason, result, message_id, at, detail)
SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::text[])
ON CONFLICT (notice) DO NOTHING
"""
_SNOOZED = f"""
SELECT {_COLUMNS} FROM ticket WHERE state = 'snoozed' AND snoozed_until <= $1 FOR UPDATE SKIP LOCKED
"""
_HISTORY = "SELECT seq, change, at, noted, actor, reason FROM change WHERE ticket = $1 ORDER BY seq"
_TICKET_NOTICES = "SELECT reason, result, at, detail FROM notice WHERE ticket = $1 ORDER BY at, notice"
_EARLIER = f"SELECT {_COLUMNS} FROM ticket WHERE key = $1 AND id < $2 ORDER BY id DESC LIMIT 5"
_POINTS = """
SELECT m.pipeline, m.stage, m.measure, m.end_at, m.value FROM measure AS m
JOIN (SELECT DISTINCT * FROM unnest($1::text[], $2::text[], $3::text[]) AS w (pipeline, stage, measure)) AS w
    USING (pipeline, stage, measure)
WHERE m.end_at > $4 AND m.end_at <= $5 ORDER BY m.end_at
"""
_NEWEST = """
SELECT w.pipeline, w.stage, w.measure, m.end_at, m.value
FROM (SELECT DISTINCT * FROM unnest($1::text[], $2::text[], $3::text[]) AS w (pipeline, stage, measure)) AS w
CROSS JOIN LATERAL (
    SELECT end_at, value FROM measure AS m
    WHERE (m.pipeline, m.stage, m.measure) = (w.pipeline, w.stage, w.measure) AND end_at <= $4 AND value IS NOT NULL
    ORDER BY end_at DESC LIMIT 1
) AS m
"""
_INTERVALS = """
SELECT opened_at, cleared_at FROM problem WHERE key = $1 AND (cleared_at IS NULL OR cleared_at > $2) AND opened_at <= $3
ORDER BY opened_at
"""
_COUNTS = "SELECT kind, state, count(*) AS tickets FROM ticket GROUP BY kind, state"
_CALM = """
SELECT count(*) FILTER (WHERE cleared_at IS NULL) AS going_on, max(cleared_at) AS since,
    EXISTS (SELECT FROM measure) AS measured
FROM problem WHERE mode = 'active'
"""


@dataclass(frozen=True)
class TicketFilter:
    """Which tickets are listed. `before`: those with a smaller number, for the next page; `open`: all that are not
    closed, or none of them; `closed_after`: those that closed since then.
    """

    pipeline: str | None = None
    kind: str | None = None
    state: str | None = None
    before: int | None = None
    limit: int = 50
    open: bool | None = None
    closed_after: datetime | None = None


# A measure of one stage: pipeline, stage, measure.
Series = tuple[str, str, str]


@dataclass(frozen=True)
class Calm:
    """Whether the flow is within its limits: problems that go on, when the last was over, if any day was measured."""

    going_on: int
    since: datetime | None
    measured: bool


async def last_of(connection: Any, key: str) -> Ticket | None:
    """The newest ticket of a problem key, locked until the end of the transaction."""
    row = await connection.fetchrow(_LAST, key)
    return _ticket(row) if row else None


async def one(connection: Any, number: int, lock: bool = False) -> Ticket | None:
    row = await connection.fetchrow(_ONE + (" FOR UPDATE" if lock else ""), number)
    return _ticket(row) if row else None


async def snoozed_until(connection: Any, now: datetime) -> list[Ticket]:
    """Tickets whose rest is over, locked; those that another replica has in hand are left to it."""
    return [_ticket(row) for row in await connection.fetch(_SNOOZED, now)]


async def listed(connection: Any, place: TicketFilter) -> list[Ticket]:
    """Tickets by filters, the newest first."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM ticket WHERE ($1::text IS NULL OR pipeline = $1) AND ($2::text IS NULL OR kind = $2)"
        " AND ($3::text IS NULL OR state = $3) AND ($4::bigint IS NULL OR id < $4)"
        " AND ($6::bool IS NULL OR (state <> 'closed') = $6) AND ($7::timestamptz IS NULL OR closed_at > $7)"
        " ORDER BY id DESC LIMIT $5",
        place.pipeline,
        place.kind,
        place.state,
        place.before,
        place.limit,
        place.open,
        place.closed_after,
    )
    return [_ticket(row) for row in rows]


async def save(connection: Any, step: TicketStep) -> TicketStep:
    """Write one change and the ticket after it; the step comes back with the ticket's number."""
    ticket = step.ticket
    data = ticket.problem.model_dump(mode="json")
    if ticket.id == 0:
        number = await connection.fetchval(
            _INSERT,
            ticket.key,
            ticket.problem.kind,
            ticket.problem.pipeline,
            ticket.state.value,
            ticket.seq,
            ticket.opened_at,
            ticket.changed_at,
            data,
        )
        step = replace(step, ticket=replace(ticket, id=number))
    else:
        await connection.execute(
            _UPDATE,
            ticket.id,
            ticket.state.value,
            ticket.seq,
            ticket.changed_at,
            data,
            ticket.outcome.value if ticket.outcome else None,
            ticket.closed_at,
            ticket.snoozed_until,
        )
    await connection.execute(
        _CHANGE, step.ticket.id, ticket.seq, step.change.value, step.at, step.actor.value, step.reason
    )
    return step


async def take(connection: Any, ids: Sequence[str]) -> set[str]:
    """The messages that were not taken before."""
    return {row["id"] for row in await connection.fetch(_TAKE, list(dict.fromkeys(ids)))}


async def save_problem(connection: Any, problem: ProblemData, retracted: bool) -> None:
    """Keep an interval, or let go of one that never was or that begins at another instant now."""
    if problem.was is not None and (retracted or problem.was.opened_at != problem.opened_at):
        await connection.execute(_DROP_PROBLEM, problem.key, problem.was.opened_at)
    if not retracted:
        await connection.execute(
            _PROBLEM,
            problem.key,
            problem.opened_at,
            problem.cleared_at,
            problem.peak,
            problem.mode.value,
            problem.historic,
            problem.model_dump(mode="json"),
        )


async def save_measures(connection: Any, points: Sequence[MeasureData]) -> None:
    if points:
        await connection.execute(
            _MEASURES,
            [p.pipeline for p in points],
            [p.stage or "" for p in points],
            [p.measure.value for p in points],
            [p.end for p in points],
            [p.value for p in points],
        )


async def save_stages(connection: Any, stages: Sequence[StageStatusData]) -> None:
    """What was told last of each stage."""
    if stages:
        await connection.execute(
            _STAGES,
            [s.pipeline for s in stages],
            [s.stage for s in stages],
            [s.name for s in stages],
            [s.watched for s in stages],
            [s.deals for s in stages],
            [s.hint for s in stages],
        )


async def stage_names(connection: Any) -> dict[tuple[str, str], str]:
    """What CRMs call stages, by pipeline and stage."""
    return {(row["pipeline"], row["stage"]): row["name"] for row in await connection.fetch(_NAMES)}


async def unwatched(connection: Any) -> list[Any]:
    """Stages that hold deals though the policy does not know them, those with the most deals first."""
    return list(await connection.fetch(_UNWATCHED))


async def save_notices(connection: Any, notices: Sequence[NoticeData]) -> None:
    if notices:
        await connection.execute(
            _NOTICES,
            [n.notice for n in notices],
            [n.ticket for n in notices],
            [n.reason.value for n in notices],
            [n.result.value for n in notices],
            [n.message_id for n in notices],
            [n.at for n in notices],
            [n.detail for n in notices],
        )


async def history(connection: Any, number: int) -> list[Any]:
    """Every change of a ticket, in order."""
    return list(await connection.fetch(_HISTORY, number))


async def notices_of(connection: Any, number: int) -> list[Any]:
    """What became of the mails about a ticket."""
    return list(await connection.fetch(_TICKET_NOTICES, number))


async def earlier(connection: Any, ticket: Ticket) -> list[Ticket]:
    """Earlier tickets of the same problem."""
    return [_ticket(row) for row in await connection.fetch(_EARLIER, ticket.key, ticket.id)]


async def points(
    connection: Any, wanted: Sequence[Series], since: datetime, until: datetime
) -> dict[Series, list[tuple[datetime, float]]]:
    """Daily points of each measure that is wanted, in order of time."""
    found: dict[Series, list[tuple[datetime, float]]] = {one: [] for one in wanted}
    for row in await connection.fetch(_POINTS, *_columns(wanted), since, until):
        if row["value"] is not None:
            found[row["pipeline"], row["stage"], row["measure"]].append((row["end_at"], row["value"]))
    return found


async def newest_points(
    connection: Any, wanted: Sequence[Series], until: datetime
) -> dict[Series, tuple[datetime, float]]:
    """The last daily point of each measure that is wanted and has one."""
    rows = await connection.fetch(_NEWEST, *_columns(wanted), until)
    return {(row["pipeline"], row["stage"], row["measure"]): (row["end_at"], row["value"]) for row in rows}


def _columns(wanted: Sequence[Series]) -> list[list[str]]:
    return [list(column) for column in zip(*wanted, strict=True)] if wanted else [[], [], []]


async def intervals(
    connection: Any, key: str, since: datetime, until: datetime
) -> list[tuple[datetime, datetime | None]]:
    """The intervals of a problem that reach into a time."""
    return [(row["opened_at"], row["cleared_at"]) for row in await connection.fetch(_INTERVALS, key, since, until)]


async def counts(connection: Any) -> dict[tuple[str, str], int]:
    """Tickets by kind and state."""
    return {(row["kind"], row["state"]): row["tickets"] for row in await connection.fetch(_COUNTS)}


async def calm(connection: Any) -> Calm:
    row = await connection.fetchrow(_CALM)
    return Calm(row["going_on"], row["since"], row["measured"])


def _ticket(row: Any) -> Ticket:
    return Ticket(
        row["id"],
        row["key"],
        TicketState(row["state"]),
        row["seq"],
        row["opened_at"],
        row["changed_at"],
        ProblemData.model_validate(row["problem"]),
        TicketOutcome(row["outcome"]) if row["outcome"] else None,
        row["closed_at"],
        row["snoozed_until"],
    )
