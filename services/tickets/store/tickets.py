"""SQL of tickets and their changes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import lru_cache
from typing import Any, NamedTuple

from pydantic import TypeAdapter

from services.tickets.access.audit import AuditEvent
from services.tickets.access.roles import current_visitor
from services.tickets.domain.ticket import Stand, Ticket, TicketStep
from services.tickets.store import audit, waits
from shared.contracts.measures import Column
from shared.contracts.problems import ProblemData, ProblemInterval
from shared.contracts.tickets import Actor, TicketChange, TicketOutcome, TicketState
from shared.postgres.pool import Connection, Executor, Record

_COLUMNS = (
    "id, key, state, seq, opened_at, changed_at, problem, outcome, closed_at, closed_because, snoozed_until, before,"
    " cycle, plan, change_date, decision, issue"
)
# Deals take long to read, and lists show none. As text, by which `_listed_problem` knows what it has read before.
_WITHOUT_DEALS = _COLUMNS.replace(
    " problem,", " (problem #- '{evidence,worst}' #- '{evidence,sample}' #- '{evidence,rest}')::text AS problem,"
)
# An older one is open where it was opened again after the newest was retracted.
_NEWEST = f"SELECT {_COLUMNS} FROM ticket WHERE key = $1 ORDER BY state = 'closed', id DESC LIMIT 1 FOR UPDATE"
_GET = f"SELECT {_COLUMNS} FROM ticket WHERE id = $1"
# Ticket.mark
_OF_MARK = """
SELECT id FROM ticket WHERE starts_with(encode(sha256(convert_to(
    key || chr(10) || (extract(epoch FROM opened_at) * 1000000)::bigint::text, 'UTF8')), 'hex'), $1)
ORDER BY id DESC LIMIT 1
"""
_INSERT = """
INSERT INTO ticket (key, kind, pipeline, state, seq, opened_at, changed_at, problem)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id
"""
_UPDATE = """
UPDATE ticket SET state = $2, seq = $3, changed_at = $4, problem = $5, outcome = $6, closed_at = $7, snoozed_until = $8,
    closed_because = $9, before = $10, cycle = $11, plan = $12, change_date = $13, decision = $14,
    issue = $15
WHERE id = $1
"""
_FOLLOW = "UPDATE ticket SET problem = $2 WHERE id = $1"
_CHANGE = """
INSERT INTO change
    (ticket, seq, change, at, actor, reason, outcome, snoozed_until, was, became, from_state, to_state, account)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
"""
_DUE = f"""
SELECT {_COLUMNS} FROM ticket WHERE state = 'snoozed' AND snoozed_until <= $1 FOR UPDATE SKIP LOCKED
"""
_DUE_PLANS = f"""
SELECT {_COLUMNS} FROM ticket WHERE state IN ('planned', 'doing') AND change_date <= $1 FOR UPDATE SKIP LOCKED
"""
_DOING = "SELECT id FROM ticket WHERE state = 'doing' AND pipeline = ANY($1::text[]) AND id <> $2 ORDER BY id"
_LIST = f"""
SELECT {_WITHOUT_DEALS} FROM ticket WHERE ($1::text IS NULL OR pipeline = $1) AND ($2::text IS NULL OR kind = $2)
    AND ($3::text IS NULL OR state = $3) AND ($4::bigint IS NULL OR id < $4)
ORDER BY id DESC LIMIT $5
"""
_OF_NUMBERS = f"SELECT {_WITHOUT_DEALS} FROM ticket WHERE id = ANY($1::bigint[])"
# What boards show of an open ticket: no evidence, which takes long to read.
_NAMES = """
SELECT id, kind, pipeline, p.stage, p.source, p.signal ->> 'measure' AS measure, state, opened_at, change_date
FROM ticket CROSS JOIN jsonb_to_record(problem) AS p (stage text, source text, signal jsonb)
WHERE state <> 'closed' AND ($1::text IS NULL OR pipeline = $1) ORDER BY id DESC
"""
_HISTORY = """
SELECT seq, change, at, recorded_at, actor, reason, outcome, snoozed_until, was, became, account.name AS who
FROM change LEFT JOIN account ON account.id = change.account WHERE ticket = $1 ORDER BY seq
"""
_IS_NEWEST = """
SELECT NOT EXISTS (SELECT FROM ticket WHERE key = $1 AND id > $2 AND outcome IS DISTINCT FROM 'retracted')
"""
_LOST_GAIN = f"""
SELECT {_COLUMNS}, c.reason FROM ticket CROSS JOIN LATERAL (
    SELECT change.change, change.reason FROM change WHERE (change.ticket, change.seq) = (ticket.id, ticket.seq)
) AS c
WHERE key = $1 AND c.change = 'decayed' AND state = 'closed' AND decision IS DISTINCT FROM 'dropped'
ORDER BY id DESC LIMIT 1 FOR UPDATE OF ticket
"""
_EARLIER = f"SELECT {_WITHOUT_DEALS} FROM ticket WHERE pipeline = $1 AND problem ->> 'stage'"
_EARLIER_OF_STAGE = f"{_EARLIER} = $2 AND id < $3 ORDER BY id DESC LIMIT 10"
_EARLIER_OF_SOURCE = f"""
{_EARLIER} IS NULL AND problem ->> 'source' IS NOT DISTINCT FROM $2 AND id < $3 ORDER BY id DESC LIMIT 10
"""
_STAND = TypeAdapter[Stand | None](Stand | None)
# By their values: enums look them up at three times the cost.
_COLUMN = {column.value: column for column in Column}
_STATES = {state.value: state for state in TicketState}
_OF_STAGE = f"""
SELECT {_WITHOUT_DEALS} FROM ticket WHERE pipeline = $1 AND problem ->> 'stage' = $2
ORDER BY (state = 'closed'), id DESC LIMIT $3
"""
_COUNTS = "SELECT kind, state, count(*) AS tickets FROM ticket GROUP BY kind, state"
# Undoing a change is a change, too: the ticket waits anew.
_WAITING = """
SELECT state, array_agg(greatest(extract(epoch FROM $1 - since), 0)::float8) AS seconds
FROM (
    SELECT state, (
        SELECT max(at) FROM change WHERE change.ticket = ticket.id AND from_state IS DISTINCT FROM to_state
    ) AS since FROM ticket WHERE state <> 'closed'
) AS found
GROUP BY state
"""


@dataclass(frozen=True)
class TicketFilter:
    """Which tickets to list. `before`: only smaller numbers, for the next page."""

    pipeline: str | None = None
    kind: str | None = None
    state: str | None = None
    before: int | None = None
    limit: int = 50


class TicketName(NamedTuple):
    """An open ticket by what its title says."""

    id: int
    kind: str
    pipeline: str
    stage: str | None
    source: str | None
    measure: Column | None
    state: TicketState
    opened_at: datetime
    change_date: date | None


async def lock_newest(connection: Connection, key: str) -> Ticket | None:
    """The open ticket of a problem key, else its newest one, locked until the transaction ends."""
    row = await connection.fetchrow(_NEWEST, key)
    return _ticket(row) if row else None


async def lock(connection: Connection, number: int) -> Ticket | None:
    """A ticket, locked until the transaction ends."""
    row = await connection.fetchrow(f"{_GET} FOR UPDATE", number)
    return _ticket(row) if row else None


async def get(executor: Executor, number: int) -> Ticket | None:
    row = await executor.fetchrow(_GET, number)
    return _ticket(row) if row else None


async def of_numbers(executor: Executor, numbers: Collection[int]) -> dict[int, Ticket]:
    """Tickets by number, without the deals of their evidence."""
    rows = await executor.fetch(_OF_NUMBERS, list(numbers)) if numbers else []
    return {row["id"]: _listed(row) for row in rows}


async def names(executor: Executor, pipeline: str | None = None) -> list[TicketName]:
    """The open tickets, of one pipeline or all, newest first."""
    rows = await executor.fetch(_NAMES, pipeline)
    # In the order of the fields: by their names it would take twice as long.
    return [
        TicketName(number, kind, pipeline, stage, source, _COLUMN.get(measure), _STATES[state], opened_at, change_date)
        for number, kind, pipeline, stage, source, measure, state, opened_at, change_date in rows
    ]


async def number_of(executor: Executor, mark: str) -> int | None:
    """The number of the ticket with this mark."""
    found: int | None = await executor.fetchval(_OF_MARK, mark)
    return found


async def lock_due(connection: Connection, now: datetime) -> list[Ticket]:
    """Tickets whose snooze has ended, locked. Skips those that another replica has locked."""
    return [_ticket(row) for row in await connection.fetch(_DUE, now)]


async def lock_due_plans(connection: Connection, today: date) -> list[Ticket]:
    """Tickets whose change date has come, locked. Skips those that another replica has locked."""
    return [_ticket(row) for row in await connection.fetch(_DUE_PLANS, today)]


async def being_done(connection: Connection, pipelines: Collection[str], besides: int) -> Sequence[int]:
    """The tickets of these pipelines whose change is under way, besides one."""
    return [row["id"] for row in await connection.fetch(_DOING, list(pipelines), besides)]


async def find(executor: Executor, where: TicketFilter) -> list[Ticket]:
    """Tickets that pass the filter, newest first, without the deals of their evidence."""
    rows = await executor.fetch(_LIST, where.pipeline, where.kind, where.state, where.before, where.limit)
    return [_listed(row) for row in rows]


async def save(connection: Connection, step: TicketStep) -> TicketStep:
    """Write a change and the ticket after it. Returns the step with the ticket's number."""
    ticket = step.ticket
    if ticket.id == 0:
        step = replace(step, ticket=replace(ticket, id=await _insert(connection, ticket)))
        await _record(connection, step)
    else:
        # The database checks the ticket's new state against the change.
        await _record(connection, step)
        await _update(connection, ticket)
    return step


async def _record(connection: Connection, step: TicketStep) -> None:
    """Write a change into the history."""
    ticket, was, visitor = step.ticket, step.was, current_visitor()
    became = ProblemInterval(**{name: getattr(ticket.problem, name) for name in ProblemInterval.model_fields})
    await connection.execute(
        _CHANGE,
        ticket.id,
        ticket.seq,
        step.change.value,
        step.at,
        step.actor.value,
        step.reason,
        ticket.outcome.value if ticket.outcome else None,
        ticket.snoozed_until,
        was.model_dump(mode="json") if was else None,
        became.model_dump(mode="json") if was else None,
        step.before.value if step.before else None,
        ticket.state.value,
        visitor.account if step.actor is Actor.PERSON else None,
    )
    if step.actor is Actor.PERSON and visitor.is_signed_in:
        said = {"ticket": ticket.id, "seq": ticket.seq, "change": step.change.value}
        await audit.record(connection, step.at, AuditEvent.TICKET_CHANGED, visitor.account, **said)
    await waits.record(connection, step)


async def follow(connection: Connection, ticket: Ticket) -> None:
    """Write the newest facts of a ticket's problem, without a change of the ticket."""
    await connection.execute(_FOLLOW, ticket.id, ticket.problem.model_dump(mode="json"))


async def is_newest(executor: Executor, ticket: Ticket) -> bool:
    """Whether no newer ticket of the same problem exists, but for those of problems that never were."""
    return bool(await executor.fetchval(_IS_NEWEST, ticket.key, ticket.id))


async def lock_lost_gain(connection: Connection, key: str) -> tuple[Ticket, str | None] | None:
    """The newest closed ticket of a key whose last change is a lost gain, and how that was told; locked."""
    row = await connection.fetchrow(_LOST_GAIN, key)
    return (_ticket(row), row["reason"]) if row else None


async def _insert(connection: Connection, ticket: Ticket) -> int:
    number: int = await connection.fetchval(
        _INSERT,
        ticket.key,
        ticket.problem.kind,
        ticket.problem.pipeline,
        ticket.state.value,
        ticket.seq,
        ticket.opened_at,
        ticket.changed_at,
        ticket.problem.model_dump(mode="json"),
    )
    return number


async def _update(connection: Connection, ticket: Ticket) -> None:
    await connection.execute(
        _UPDATE,
        ticket.id,
        ticket.state.value,
        ticket.seq,
        ticket.changed_at,
        ticket.problem.model_dump(mode="json"),
        ticket.outcome.value if ticket.outcome else None,
        ticket.closed_at,
        ticket.snoozed_until,
        ticket.closed_because,
        _STAND.dump_python(ticket.before, mode="json"),
        ticket.cycle,
        ticket.plan,
        ticket.change_date,
        ticket.decision.value if ticket.decision else None,
        ticket.issue,
    )


async def history(executor: Executor, number: int) -> list[Record]:
    """Every change of a ticket, in order."""
    return await executor.fetch(_HISTORY, number)


async def earlier(executor: Executor, ticket: Ticket) -> list[Ticket]:
    """Up to ten earlier tickets of the same stage, pipeline or source, of any kind, newest first, without deals."""
    pipeline, stage, source = ticket.problem.pipeline, ticket.problem.stage, ticket.problem.source
    sql, place = (_EARLIER_OF_STAGE, stage) if stage else (_EARLIER_OF_SOURCE, source)
    return [_listed(row) for row in await executor.fetch(sql, pipeline, place, ticket.id)]


async def of_stage(executor: Executor, pipeline: str, stage: str, limit: int) -> list[Ticket]:
    """The tickets of a stage, open ones first, then the newest, without deals."""
    return [_listed(row) for row in await executor.fetch(_OF_STAGE, pipeline, stage, limit)]


async def counts(executor: Executor) -> Mapping[tuple[str, str], int]:
    """How many tickets there are, by kind and state."""
    return {(row["kind"], row["state"]): row["tickets"] for row in await executor.fetch(_COUNTS)}


async def waiting(executor: Executor, now: datetime) -> Mapping[str, Sequence[float]]:
    """How many seconds each open ticket has been in its state, by state."""
    return {row["state"]: row["seconds"] for row in await executor.fetch(_WAITING, now)}


@lru_cache(2048)
def _listed_problem(text: str) -> ProblemData:
    """Lists are read over and over, and few tickets change in between."""
    return ProblemData.model_validate_json(text)


def _listed(row: Record) -> Ticket:
    return _ticket(row, _listed_problem)


def _ticket(row: Record, read: Callable[[Any], ProblemData] = ProblemData.model_validate) -> Ticket:
    return Ticket(
        row["id"],
        row["key"],
        _STATES[row["state"]],
        row["seq"],
        row["opened_at"],
        row["changed_at"],
        read(row["problem"]),
        TicketOutcome(row["outcome"]) if row["outcome"] else None,
        row["closed_at"],
        row["closed_because"],
        row["snoozed_until"],
        _STAND.validate_python(row["before"]) if row["before"] else None,
        row["cycle"],
        row["plan"],
        row["change_date"],
        TicketChange(row["decision"]) if row["decision"] else None,
        row["issue"],
    )
