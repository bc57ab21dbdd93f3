"""What the database itself refuses, whoever asks: other transitions, and any change of a sealed plan."""

from __future__ import annotations

import hashlib

import asyncpg
import pytest

from services.tickets.domain.transitions import ALLOWED
from shared.contracts.tickets import TicketChange, TicketState
from shared.postgres.pool import Pool
from tests.integration.tickets.planning import PlanningParts

_TRY_ALL = """
DO $$
DECLARE
    c text; f text; t text;
BEGIN
    CREATE TEMP TABLE accepted (change text, from_state text, to_state text) ON COMMIT PRESERVE ROWS;
    FOR c, f, t IN
        SELECT a, b, d FROM unnest(ARRAY[CHANGES]) AS a, unnest(ARRAY[STATES, NULL, 'lost']) AS b,
            unnest(ARRAY[STATES, 'lost']) AS d
    LOOP
        BEGIN
            INSERT INTO change (ticket, seq, change, from_state, to_state, at, actor)
            VALUES (1, 1000 + (SELECT count(*) FROM accepted), c, f, t, now(), 'system');
            INSERT INTO accepted VALUES (c, f, t);
        EXCEPTION WHEN check_violation THEN NULL;
        END;
    END LOOP;
END $$
"""

_INSERT = """
INSERT INTO sealed_plan (ticket, cycle, number, content, hash, sealed_at) VALUES ($1, $2, $3, $4, $5, now())
"""


@pytest.fixture
def parts(pool: Pool) -> PlanningParts:
    return PlanningParts(pool)


async def test_the_database_allows_the_same_transitions_as_the_machine(parts: PlanningParts) -> None:
    await parts.open()
    states = ", ".join(f"'{state}'" for state in TicketState)
    listed = ", ".join(f"'{change}'" for change in (*TicketChange, "stolen"))
    async with parts.pool.acquire() as connection:
        await connection.execute(_TRY_ALL.replace("CHANGES", listed).replace("STATES", states))
        rows = await connection.fetch("SELECT change, from_state, to_state FROM accepted")

    expected = {
        (change.value, before and before.value, after.value) for change in ALLOWED for before, after in ALLOWED[change]
    }
    assert {tuple(row) for row in rows} == expected
    assert set(ALLOWED) == set(TicketChange)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ticket SET state = 'verifying'",
        "UPDATE ticket SET state = 'doing', seq = seq + 1",
        "UPDATE ticket SET state = 'closed', outcome = 'verified', closed_at = now()",
        "UPDATE ticket SET outcome = 'verified'",
        "UPDATE ticket SET change_date = NULL",
        "UPDATE ticket SET change_date = change_date + 7",
        "UPDATE ticket SET plan = 2",
        "UPDATE ticket SET cycle = 2",
        "UPDATE ticket SET plan = NULL, change_date = NULL",
        "UPDATE ticket SET decision = 'adopted'",
        "INSERT INTO ticket (key, kind, pipeline, state, seq, opened_at, changed_at, problem, plan, change_date)"
        " SELECT key || '2', kind, pipeline, state, seq, opened_at, changed_at, problem, plan, change_date FROM ticket",
        "INSERT INTO change (ticket, seq, change, from_state, to_state, at, actor)"
        " VALUES (1, 9, 'started', 'open', 'doing', now(), 'person')",
        "INSERT INTO study (ticket, cycle, plan, started_at, verdict) VALUES (1, 1, 1, now(), 'verified')",
        "INSERT INTO study (ticket, cycle, plan, started_at, hold) VALUES (1, 1, 1, now(), 'held')",
    ],
)
async def test_a_state_that_its_history_does_not_have_is_refused_in_sql(parts: PlanningParts, statement: str) -> None:
    await parts.planned()

    with pytest.raises(asyncpg.CheckViolationError):
        await parts.pool.execute(statement)


@pytest.mark.parametrize(
    "statement",
    [
        'UPDATE sealed_plan SET content = replace(content, \'"size":"4"\', \'"size":"1"\')',
        "UPDATE sealed_plan SET reason = 'x'",
        "UPDATE sealed_plan SET hash = hash",
        "DELETE FROM sealed_plan",
        "DELETE FROM sealed_plan WHERE number = 1",
        "TRUNCATE sealed_plan CASCADE",
        "TRUNCATE ticket CASCADE",
        "INSERT INTO sealed_plan SELECT ticket, cycle, number, content, hash, sealed_at, reason FROM sealed_plan"
        " ON CONFLICT (ticket, cycle, number) DO UPDATE SET sealed_at = now()",
        "MERGE INTO sealed_plan AS s USING (VALUES (1)) AS w (ticket) ON s.ticket = w.ticket"
        " WHEN MATCHED THEN UPDATE SET sealed_at = now()",
    ],
)
async def test_a_sealed_plan_is_never_changed_in_sql(parts: PlanningParts, statement: str) -> None:
    number = await parts.planned()
    before = await parts.pool.fetchrow("SELECT * FROM sealed_plan")

    with pytest.raises(asyncpg.CheckViolationError):
        await parts.pool.execute(statement)

    assert await parts.pool.fetchrow("SELECT * FROM sealed_plan WHERE ticket = $1", number) == before


@pytest.mark.parametrize("statement", ["UPDATE sealed_plan SET reason = 'x'", "DELETE FROM sealed_plan"])
async def test_a_session_that_replicates_changes_no_sealed_plan_either(parts: PlanningParts, statement: str) -> None:
    await parts.planned()

    async with parts.pool.acquire() as connection:
        with pytest.raises(asyncpg.CheckViolationError):
            await connection.execute(f"SET session_replication_role = replica; {statement}")
        await connection.execute("SET session_replication_role = origin")


async def test_a_ticket_with_a_sealed_plan_cannot_be_deleted(parts: PlanningParts) -> None:
    await parts.planned()

    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await parts.pool.execute("DELETE FROM ticket")


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"number": 3},
        {"number": 2, "before": ""},
        {"number": 1, "cycle": 2, "before": "0" * 64},
        {"number": 2, "is_forged": True},
        {"number": 2, "told": 7},
    ],
)
async def test_a_seal_that_does_not_follow_the_last_one_is_refused_in_sql(
    parts: PlanningParts, fields: dict[str, object]
) -> None:
    number = await parts.planned()
    last = await parts.pool.fetchrow("SELECT content, hash FROM sealed_plan")
    assert last is not None
    key = fields.get("cycle", 1), fields.get("number", 1)
    before, told = fields.get("before", last["hash"]), fields.get("told", key[1])
    content = f'{{"before":"{before}","cycle":{key[0]},"number":{told},"ticket":{number}}}'
    digest = last["hash"] if fields.get("is_forged") else hashlib.sha256(content.encode()).hexdigest()

    with pytest.raises((asyncpg.CheckViolationError, asyncpg.UniqueViolationError)):
        await parts.pool.execute(_INSERT, number, *key, content, digest)


async def test_nothing_is_sealed_once_the_change_is_studied(parts: PlanningParts) -> None:
    number = await parts.planned()
    await parts.tick(parts.day_clock.at.replace(day=20))
    last = await parts.pool.fetchval("SELECT hash FROM sealed_plan")
    content = f'{{"before":"{last}","cycle":1,"number":2,"ticket":{number}}}'

    with pytest.raises(asyncpg.CheckViolationError, match="verifying"):
        await parts.pool.execute(_INSERT, number, 1, 2, content, hashlib.sha256(content.encode()).hexdigest())
