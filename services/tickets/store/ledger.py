"""SQL of the learning ledger: over all tickets, what was changed, predicted and found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from services.tickets.domain.seal import SealedPlan, read_sealed
from services.tickets.store import cord_pulls
from shared.contracts.problems import ProblemData
from shared.contracts.tickets import CordFacts, StudyFacts, TicketState
from shared.postgres.pool import Executor, Record

# Why an attempt without a verdict ended.
_LEFT_OFF = """
    LEFT JOIN LATERAL (
        SELECT reason FROM change c WHERE c.ticket = newest.ticket AND c.change IN ('withdrawn', 'closed')
            AND c.at >= newest.sealed_at AND s.verdict IS NULL ORDER BY c.seq LIMIT 1
    ) AS left_off ON true
"""
# Each attempt: the newest seal of a cycle, with its study and how it stands. `found` is what an attempt came to.
_ATTEMPTS = f"""
WITH newest AS (
    SELECT ticket, cycle, content, plan, sealed_at FROM sealed_plan AS p WHERE NOT EXISTS (
        SELECT FROM sealed_plan AS q WHERE (q.ticket, q.cycle) = (p.ticket, p.cycle) AND q.number > p.number)
), attempt AS (
    SELECT newest.*, t.kind, t.pipeline, t.problem, t.state, s.verdict, s.reason, s.data, s.result, s.hold, s.decision,
        s.decided_because,
        left_off.reason AS left_because,
        CASE WHEN s.verdict IS NOT NULL THEN s.verdict
            WHEN newest.cycle = t.cycle AND t.state IN ('planned', 'doing', 'verifying') THEN 'running'
            ELSE 'stopped' END AS found
    FROM newest JOIN ticket t ON t.id = newest.ticket
    LEFT JOIN study s ON (s.ticket, s.cycle) = (newest.ticket, newest.cycle)
{_LEFT_OFF}
)
"""
# Without the reasons, which would be searched for each of all attempts.
_ATTEMPTS_TO_COUNT = _ATTEMPTS.replace(_LEFT_OFF, "CROSS JOIN (SELECT NULL::text AS reason) AS left_off")
# What each filter asks for.
_CONDITIONS = {
    "pipeline": "pipeline = {}",
    "kind": "kind = {}",
    "countermeasure": "plan ->> 'countermeasure' = {}",
    "found": "found = {}",
    "text": """strpos(lower(concat_ws(' ', plan ->> 'aim', plan ->> 'change', plan -> 'predicted' ->> 'why',
        problem ->> 'stage', decided_because, left_because)), lower({})) > 0""",
}
_NEWEST_FIRST = "ORDER BY sealed_at DESC, ticket DESC, cycle DESC"
_OF_NUMBERS = f"""
{_ATTEMPTS} SELECT attempt.* FROM attempt
JOIN unnest($1::bigint[], $2::int[]) WITH ORDINALITY AS w (ticket, cycle, place) USING (ticket, cycle) ORDER BY place
"""
_TALLY = """
count(*) AS tried, count(*) FILTER (WHERE found = 'verified') AS verified,
count(*) FILTER (WHERE found = 'not-shown') AS not_shown, count(*) FILTER (WHERE found = 'restored') AS restored,
count(*) FILTER (WHERE found = 'stopped') AS stopped, count(*) FILTER (WHERE found = 'running') AS running,
count(*) FILTER (WHERE result IN ('hit', 'hit-coarse')) AS held,
count(*) FILTER (WHERE result LIKE 'wrong-%') AS wrong,
count(*) FILTER (WHERE hold = 'decayed') AS lost
"""
_GROUPED = "GROUP BY GROUPING SETS ((), (kind), (plan ->> 'countermeasure'))"
# Of both kinds the newest, each by its index.
_GIVEN_UP = """
(SELECT id AS ticket, problem, outcome AS how, closed_because AS reason, closed_at AS at FROM ticket
WHERE outcome IN ('abandoned', 'wont-fix', 'changed-unplanned')
    AND ($1::text IS NULL OR pipeline = $1) AND ($2::text IS NULL OR kind = $2)
ORDER BY closed_at DESC LIMIT $3)
UNION ALL
(SELECT c.ticket, t.problem, c.change, c.reason, c.at FROM change c JOIN ticket t ON t.id = c.ticket
WHERE c.change IN ('withdrawn', 'dropped')
    AND ($1::text IS NULL OR pipeline = $1) AND ($2::text IS NULL OR kind = $2)
ORDER BY c.at DESC LIMIT $3)
ORDER BY at DESC LIMIT $3
"""


# An attempt by its ticket and cycle.
AttemptNumber = tuple[int, int]


class AttemptOutcome(StrEnum):
    """What an attempt came to. `stopped`: withdrawn, or its ticket was closed, before there was a verdict."""

    VERIFIED = "verified"
    NOT_SHOWN = "not-shown"
    RESTORED = "restored"
    RUNNING = "running"
    STOPPED = "stopped"


@dataclass(frozen=True)
class LedgerFilter:
    """Which attempts to list. `text`: found in aim, change, reasons or stage, in any letters."""

    pipeline: str | None = None
    kind: str | None = None
    countermeasure: str | None = None
    found: AttemptOutcome | None = None
    text: str | None = None


@dataclass(frozen=True)
class Attempt:
    """One plan of one ticket and what came of it. `because`: why it was stopped, or what was decided on its verdict.

    `cord`: the pulls of the ticket; None: it is not about a cord.
    """

    sealed: SealedPlan
    problem: ProblemData
    state: TicketState
    found: AttemptOutcome
    study: StudyFacts
    decision: str | None
    because: str | None
    cord: CordFacts | None


@dataclass(frozen=True)
class Tally:
    """Attempts by what they came to. `held`, `wrong`: their predictions, as far as that is known. `lost`: decayed."""

    tried: int
    verified: int
    not_shown: int
    restored: int
    stopped: int
    running: int
    held: int
    wrong: int
    lost: int


@dataclass(frozen=True)
class Tallies:
    """Of all attempts, by kind of problem, and by kind of countermeasure."""

    all: Tally
    by_kind: dict[str, Tally]
    by_countermeasure: dict[str, Tally]


@dataclass(frozen=True)
class GivenUp:
    """A ticket or plan that ended without a study, or a change that was dropped after it, and why."""

    ticket: int
    problem: ProblemData
    how: str
    reason: str | None
    at: datetime


async def attempts(executor: Executor, where: LedgerFilter, limit: int, skipped: int = 0) -> list[Attempt]:
    """Attempts that pass the filter, the newest first."""
    condition, values = _where(where)
    page = f"LIMIT ${len(values) + 1} OFFSET ${len(values) + 2}"
    sql = f"{_ATTEMPTS} SELECT * FROM attempt {condition} {_NEWEST_FIRST} {page}"
    return await _with_cords(executor, await executor.fetch(sql, *values, limit, skipped))


async def numbers(executor: Executor, where: LedgerFilter) -> list[AttemptNumber]:
    """All attempts that pass the filter, the newest first."""
    condition, values = _where(where)
    numbered = f"{_to_count(where)} SELECT ticket, cycle FROM attempt {condition} {_NEWEST_FIRST}"
    rows = await executor.fetch(numbered, *values)
    return [(row["ticket"], row["cycle"]) for row in rows]


async def of_numbers(executor: Executor, wanted: Sequence[AttemptNumber]) -> list[Attempt]:
    """These attempts, in this order."""
    found = await executor.fetch(_OF_NUMBERS, [ticket for ticket, _ in wanted], [cycle for _, cycle in wanted])
    return await _with_cords(executor, found)


async def _with_cords(executor: Executor, rows: Sequence[Record]) -> list[Attempt]:
    cords = await cord_pulls.facts(executor, {row["ticket"] for row in rows})
    return [_attempt(row, cords.get(row["ticket"])) for row in rows]


async def tallies(executor: Executor, where: LedgerFilter) -> Tallies:
    """How the attempts that pass the filter came out."""
    condition, values = _where(where)
    counts = f"{_to_count(where)} SELECT kind, plan ->> 'countermeasure' AS countermeasure, {_TALLY} FROM attempt"
    rows = await executor.fetch(f"{counts} {condition} {_GROUPED}", *values)
    whole = next(row for row in rows if row["kind"] is None and row["countermeasure"] is None)
    return Tallies(
        _tally(whole),
        {row["kind"]: _tally(row) for row in rows if row["kind"] is not None},
        {row["countermeasure"]: _tally(row) for row in rows if row["countermeasure"] is not None},
    )


async def given_up(executor: Executor, where: LedgerFilter, limit: int) -> list[GivenUp]:
    """What was given up, the newest first; of the filter, pipeline and kind count."""
    rows = await executor.fetch(_GIVEN_UP, where.pipeline, where.kind, limit)
    return [GivenUp(row["ticket"], _problem(row), row["how"], row["reason"], row["at"]) for row in rows]


def _to_count(where: LedgerFilter) -> str:
    """The attempts, where nothing but a searched text asks for their reasons."""
    return _ATTEMPTS if where.text else _ATTEMPTS_TO_COUNT


def _where(where: LedgerFilter) -> tuple[str, list[str]]:
    """The condition of a filter with its values. What it leaves open is not asked: of a condition that any value may
    pass, the planner expects few rows, and reads all attempts to find the newest.
    """
    given = {name: str(value) for name, value in vars(where).items() if value is not None}
    if not given:
        return "", []
    conditions = [_CONDITIONS[name].format(f"${place}") for place, name in enumerate(given, 1)]
    return f"WHERE {' AND '.join(conditions)}", list(given.values())


def _tally(row: Record) -> Tally:
    return Tally(**{name: row[name] for name in Tally.__dataclass_fields__})


def _attempt(row: Record, cord: CordFacts | None) -> Attempt:
    return Attempt(
        read_sealed(row["content"]),
        _problem(row),
        TicketState(row["state"]),
        AttemptOutcome(row["found"]),
        _facts(row),
        row["decision"],
        row["left_because"] or row["decided_because"],
        cord,
    )


def _problem(row: Record) -> ProblemData:
    """Without the deals of its evidence, which take long to read, and the ledger does not show."""
    return ProblemData.model_validate(row["problem"] | {"evidence": None})


def _facts(row: Record) -> StudyFacts:
    """What a study has found, as messages say it."""
    found = {name: value for name, value in (row["data"] or {}).items() if name in StudyFacts.model_fields}
    return StudyFacts.model_validate(found | {name: row[name] for name in ("verdict", "reason", "hold")})
