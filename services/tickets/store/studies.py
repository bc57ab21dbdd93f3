"""SQL of studies: what the system finds about each cycle's change, and what a person decides on it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from services.tickets.domain.ticket import Ticket
from services.tickets.study.findings import StudyFindings
from services.tickets.study.record import Study, StudyKey
from shared.contracts.tickets import StudyFacts, TicketChange
from shared.flow.statistics.held_gain import Hold
from shared.flow.statistics.sealing import NotShown
from shared.flow.statistics.verification import Conclusion, Verdict
from shared.postgres.pool import Connection, Executor, Record

# Where late events or an undone closing bring a study back, it goes on, and nothing is decided on it.
_BEGIN = """
INSERT INTO study (ticket, cycle, plan, started_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (ticket, cycle) DO UPDATE SET ended_at = NULL, input = NULL, decision = NULL, decided_at = NULL,
    decided_because = NULL
"""
_END = "UPDATE study SET ended_at = $3 WHERE (ticket, cycle) = ($1, $2) AND ended_at IS NULL"
_DECIDE = """
UPDATE study SET decision = $3, decided_at = $4, decided_because = $5 WHERE (ticket, cycle) = ($1, $2)
"""
_COLUMNS = """
ticket, cycle, plan, started_at, data, input, verdict, reason, week, verdict_at, hold, decision, decided_at,
    decided_because, ended_at
"""
_ONE = f"SELECT {_COLUMNS} FROM study WHERE (ticket, cycle) = ($1, $2)"
_OF_TICKET = f"SELECT {_COLUMNS} FROM study WHERE ticket = $1 ORDER BY cycle"
_DUE = """
SELECT s.ticket, s.cycle FROM study AS s JOIN ticket AS t ON t.id = s.ticket
LEFT JOIN study_input AS i ON i.pipeline = t.pipeline
WHERE s.ended_at IS NULL AND (s.input IS NULL OR s.input <> coalesce(i.version, 0)) ORDER BY s.ticket, s.cycle
"""
_INPUT = "SELECT coalesce((SELECT version FROM study_input WHERE pipeline = $1), 0)"
_MARK = """
INSERT INTO study_input AS i (pipeline, version) SELECT p, 1 FROM unnest($1::text[]) AS p ORDER BY p
ON CONFLICT (pipeline) DO UPDATE SET version = i.version + 1
"""
_STUDIED = """
SELECT DISTINCT t.pipeline FROM ticket AS t JOIN study AS s ON s.ticket = t.id AND s.ended_at IS NULL
WHERE t.key = ANY($1::text[])
"""
_SEEN = "UPDATE study SET input = $3 WHERE (ticket, cycle) = ($1, $2)"
_SAVE = """
UPDATE study SET data = $3, input = $4, verdict = $5, reason = $6, week = $7, verdict_at = $8, hold = $9, ended_at = $10
WHERE (ticket, cycle) = ($1, $2)
"""


async def begin(connection: Connection, ticket: Ticket, at: datetime) -> None:
    """Begin the study of the plan in force, or go on with it."""
    await connection.execute(_BEGIN, ticket.id, ticket.cycle, ticket.plan, at)


async def end(connection: Connection, ticket: Ticket, at: datetime) -> None:
    """End the study of the ticket's cycle: nobody wants to know any more."""
    await connection.execute(_END, ticket.id, ticket.cycle, at)


async def decide(
    connection: Connection, ticket: int, cycle: int, decision: TicketChange, at: datetime, reason: str | None
) -> None:
    """Keep what a person decided on a verdict."""
    await connection.execute(_DECIDE, ticket, cycle, decision.value, at, reason)


async def get(executor: Executor, key: StudyKey) -> Study | None:
    row = await executor.fetchrow(_ONE, *key)
    return _study(row) if row else None


async def of_ticket(executor: Executor, ticket: int) -> list[Study]:
    """The studies of a ticket, the oldest first."""
    return [_study(row) for row in await executor.fetch(_OF_TICKET, ticket)]


async def newest(executor: Executor, ticket: int) -> Study | None:
    """The study of the ticket's last cycle that has one."""
    found = await of_ticket(executor, ticket)
    return found[-1] if found else None


async def due(executor: Executor) -> list[StudyKey]:
    """Studies in progress of whose pipeline something came that they have not looked at."""
    return [StudyKey(*row) for row in await executor.fetch(_DUE)]


async def input_version(executor: Executor, pipeline: str) -> int:
    """The version of what the studies of a pipeline rest on. Read it before what it counts."""
    version: int = await executor.fetchval(_INPUT, pipeline)
    return version


async def mark_input(connection: Connection, pipelines: Collection[str]) -> None:
    """Something came that the studies of these pipelines rest on."""
    if pipelines:
        await connection.execute(_MARK, sorted(pipelines))


async def studied_pipelines(executor: Executor, keys: Collection[str]) -> set[str]:
    """The pipelines of the tickets of these problems whose change is being studied."""
    return {row["pipeline"] for row in await executor.fetch(_STUDIED, list(keys))} if keys else set()


async def seen(connection: Connection, key: StudyKey, version: int) -> None:
    """Nothing is to be found yet in this version of what a study rests on."""
    await connection.execute(_SEEN, *key, version)


async def save(connection: Connection, study: Study) -> None:
    """Write what a study has found, with its ticket locked."""
    verdict, reason, week = study.conclusion
    await connection.execute(
        _SAVE,
        *study.key,
        study.findings.model_dump(mode="json") if study.findings else None,
        study.input,
        verdict,
        reason,
        week,
        study.verdict_at,
        study.hold,
        study.ended_at,
    )


async def facts(executor: Executor, ticket: Ticket) -> StudyFacts | None:
    """What the study of the ticket's cycle has found; None before it begins."""
    found = await get(executor, StudyKey(ticket.id, ticket.cycle))
    return None if found is None else facts_of(found)


def facts_of(study: Study) -> StudyFacts:
    """A study as messages and the API say it."""
    verdict, reason, week = study.conclusion
    findings = study.findings or StudyFindings(weeks_over=0)
    return StudyFacts(
        verdict=None if verdict is None else verdict.value,
        reason=reason,
        week=week,
        sentence=findings.sentence,
        effect_sentence=findings.effect_sentence,
        result=findings.result,
        result_sentence=findings.result_sentence,
        notes=findings.notes,
        hold=study.hold,
        confounded_with=findings.confounded_with,
    )


def _study(row: Record) -> Study:
    return Study(
        StudyKey(row["ticket"], row["cycle"]),
        row["plan"],
        row["started_at"],
        StudyFindings.model_validate(row["data"]) if row["data"] else None,
        row["input"],
        Conclusion(
            Verdict(row["verdict"]) if row["verdict"] else None,
            NotShown(row["reason"]) if row["reason"] else None,
            row["week"],
        ),
        row["verdict_at"],
        Hold(row["hold"]) if row["hold"] else None,
        TicketChange(row["decision"]) if row["decision"] else None,
        row["decided_at"],
        row["decided_because"],
        row["ended_at"],
    )
