"""SQL of the learning ledger: over all tickets, what was changed, predicted and found, and how long decisions took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from services.tickets.domain.plan import SealedPlan, read_sealed
from services.tickets.store import cord_pulls
from shared.contracts.problems import ProblemData
from shared.contracts.tickets import CordFacts, StudyFacts, TicketState
from shared.postgres.pool import Executor, Record

# Each attempt: the newest seal of a cycle, with its study and how it stands. `found` is what an attempt came to.
_ATTEMPTS = """
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
    LEFT JOIN LATERAL (
        SELECT reason FROM change c WHERE c.ticket = newest.ticket AND c.change IN ('withdrawn', 'closed')
            AND c.at >= newest.sealed_at AND s.verdict IS NULL ORDER BY c.seq LIMIT 1
    ) AS left_off ON true
)
"""
_WHERE = """
WHERE ($1::text IS NULL OR pipeline = $1) AND ($2::text IS NULL OR kind = $2)
    AND ($3::text IS NULL OR plan ->> 'countermeasure' = $3) AND ($4::text IS NULL OR found = $4)
    AND ($5::text IS NULL OR strpos(lower(concat_ws(' ', plan ->> 'aim', plan ->> 'change',
        plan -> 'predicted' ->> 'why', problem ->> 'stage', decided_because, left_because)), lower($5)) > 0)
"""
_LIST = (
    f"{_ATTEMPTS} SELECT * FROM attempt {_WHERE} ORDER BY sealed_at DESC, ticket DESC, cycle DESC LIMIT $6 OFFSET $7"
)
_TALLY = """
count(*) AS tried, count(*) FILTER (WHERE found = 'verified') AS verified,
count(*) FILTER (WHERE found = 'not-shown') AS not_shown, count(*) FILTER (WHERE found = 'restored') AS restored,
count(*) FILTER (WHERE found = 'stopped') AS stopped, count(*) FILTER (WHERE found = 'running') AS running,
count(*) FILTER (WHERE result IN ('hit', 'hit-coarse')) AS held,
count(*) FILTER (WHERE result LIKE 'wrong-%') AS wrong,
count(*) FILTER (WHERE hold = 'decayed') AS lost
"""
_COUNTS = f"""{_ATTEMPTS}
SELECT kind, plan ->> 'countermeasure' AS countermeasure, {_TALLY} FROM attempt {_WHERE}
GROUP BY GROUPING SETS ((), (kind), (plan ->> 'countermeasure'))
"""
_GIVEN_UP = """
SELECT id AS ticket, problem, outcome AS how, closed_because AS reason, closed_at AS at FROM ticket
WHERE outcome IN ('abandoned', 'wont-fix', 'changed-unplanned')
    AND ($1::text IS NULL OR pipeline = $1) AND ($2::text IS NULL OR kind = $2)
UNION ALL
SELECT c.ticket, t.problem, c.change, c.reason, c.at FROM change c JOIN ticket t ON t.id = c.ticket
WHERE c.change IN ('withdrawn', 'dropped')
    AND ($1::text IS NULL OR pipeline = $1) AND ($2::text IS NULL OR kind = $2)
ORDER BY at DESC LIMIT $3
"""
# From a change that asks for a decision to the first later one that is one; the last, while there is none, waits. From
# a pull of a cord that had to wait, to the first thing that a person did about its ticket.
_WAITS = """
WITH step AS (
    SELECT c.ticket, c.seq, c.at, c.change, c.actor FROM change c JOIN ticket t ON t.id = c.ticket
    WHERE ($1::text IS NULL OR pipeline = $1) AND ($2::text IS NULL OR kind = $2) AND c.change IN ('opened', 'reopened',
        'verdict', 'acknowledged', 'snoozed', 'planned', 'closed', 'adopted', 'adapted', 'dropped')
), asked AS (
    SELECT wait, ticket, seq, step.at, answers FROM step
    JOIN (VALUES ('seen', false, ARRAY['acknowledged', 'snoozed', 'planned', 'closed']),
        ('planned', false, ARRAY['planned', 'closed']),
        ('decided', true, ARRAY['adopted', 'adapted', 'dropped', 'reopened'])) AS what (wait, is_verdict, answers)
        ON (change = 'verdict') = is_verdict
    WHERE actor = 'system' AND change IN ('opened', 'reopened', 'verdict')
), answered AS (
    SELECT asked.wait, asked.ticket, asked.seq, asked.at, min(step.seq) AS answer FROM asked
    LEFT JOIN step ON step.ticket = asked.ticket AND step.seq > asked.seq AND step.change = ANY (asked.answers)
    GROUP BY asked.wait, asked.ticket, asked.seq, asked.at
), wait AS (
    SELECT answered.wait, answered.at, step.at AS until, coalesce(step.actor = 'person', false) AS is_answered
    FROM answered LEFT JOIN step ON (step.ticket, step.seq) = (answered.ticket, answered.answer)
    UNION ALL
    SELECT 'answered', pulled_at, answered_at, answered_at IS NOT NULL FROM cord_pull
    WHERE waited AND ($1::text IS NULL OR pipeline = $1) AND ($2::text IS NULL OR $2 = 'cord')
)
SELECT wait, count(*) FILTER (WHERE is_answered) AS answered,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY until - at) FILTER (WHERE is_answered) AS median,
    max(until - at) FILTER (WHERE is_answered) AS longest,
    count(*) FILTER (WHERE until IS NULL) AS waiting, max($3 - at) FILTER (WHERE until IS NULL) AS waiting_longest
FROM wait GROUP BY wait
"""


class AttemptOutcome(StrEnum):
    """What an attempt came to. `stopped`: withdrawn, or its ticket was closed, before there was a verdict."""

    VERIFIED = "verified"
    NOT_SHOWN = "not-shown"
    RESTORED = "restored"
    RUNNING = "running"
    STOPPED = "stopped"


class Wait(StrEnum):
    """What a ticket waits for: to be seen, to be planned or closed, that its verdict is acted on.

    `answered`: what whoever pulled a cord waits for.
    """

    SEEN = "seen"
    PLANNED = "planned"
    DECIDED = "decided"
    ANSWERED = "answered"


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


@dataclass(frozen=True)
class WaitTimes:
    """How long tickets waited. `answered`: how many waits are over; `waiting`: how many go on, the longest since."""

    answered: int
    median: timedelta | None
    longest: timedelta | None
    waiting: int
    waiting_longest: timedelta | None


async def attempts(executor: Executor, where: LedgerFilter, limit: int, skipped: int = 0) -> list[Attempt]:
    """Attempts that pass the filter, the newest first."""
    rows = await executor.fetch(_LIST, *_values(where), limit, skipped)
    cords = await cord_pulls.facts(executor, {row["ticket"] for row in rows})
    return [_attempt(row, cords.get(row["ticket"])) for row in rows]


async def tallies(executor: Executor, where: LedgerFilter) -> Tallies:
    """How the attempts that pass the filter came out."""
    rows = await executor.fetch(_COUNTS, *_values(where))
    whole = next(row for row in rows if row["kind"] is None and row["countermeasure"] is None)
    return Tallies(
        _tally(whole),
        {row["kind"]: _tally(row) for row in rows if row["kind"] is not None},
        {row["countermeasure"]: _tally(row) for row in rows if row["countermeasure"] is not None},
    )


async def given_up(executor: Executor, where: LedgerFilter, limit: int) -> list[GivenUp]:
    """What was given up, the newest first; of the filter, pipeline and kind count."""
    rows = await executor.fetch(_GIVEN_UP, where.pipeline, where.kind, limit)
    return [
        GivenUp(row["ticket"], ProblemData.model_validate(row["problem"]), row["how"], row["reason"], row["at"])
        for row in rows
    ]


async def waits(executor: Executor, where: LedgerFilter, now: datetime) -> dict[Wait, WaitTimes]:
    """How long tickets waited for people; of the filter, pipeline and kind count."""
    rows = await executor.fetch(_WAITS, where.pipeline, where.kind, now)
    fields = WaitTimes.__dataclass_fields__
    return {Wait(row["wait"]): WaitTimes(**{name: row[name] for name in fields}) for row in rows}


def _values(where: LedgerFilter) -> Sequence[str | None]:
    found = where.found.value if where.found else None
    return where.pipeline, where.kind, where.countermeasure, found, where.text


def _tally(row: Record) -> Tally:
    return Tally(**{name: row[name] for name in Tally.__dataclass_fields__})


def _attempt(row: Record, cord: CordFacts | None) -> Attempt:
    return Attempt(
        read_sealed(row["content"]),
        ProblemData.model_validate(row["problem"]),
        TicketState(row["state"]),
        AttemptOutcome(row["found"]),
        _facts(row),
        row["decision"],
        row["left_because"] or row["decided_because"],
        cord,
    )


def _facts(row: Record) -> StudyFacts:
    """What a study has found, as messages say it."""
    found = {name: value for name, value in (row["data"] or {}).items() if name in StudyFacts.model_fields}
    return StudyFacts.model_validate(found | {name: row[name] for name in ("verdict", "reason", "hold")})
