"""What tickets waited for, as it is kept with each change, against a search of whole histories."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from statistics import median

import pytest

from services.tickets.domain.ticket import TicketStep, begin
from services.tickets.domain.transitions import ALLOWED
from services.tickets.store import tickets, waits
from services.tickets.store.waits import Wait, WaitTimes
from shared.contracts.tickets import Actor, TicketChange, TicketState
from shared.postgres.pool import Connection, Pool
from tests.support.problems import problem

BEGIN = datetime(2026, 1, 5, tzinfo=UTC)
ASKED = {
    Wait.SEEN: {"opened", "reopened"},
    Wait.PLANNED: {"opened", "reopened"},
    Wait.DECIDED: {"verdict"},
}
ANSWERED = {
    Wait.SEEN: {"acknowledged", "snoozed", "planned", "closed"},
    Wait.PLANNED: {"planned", "closed"},
    Wait.DECIDED: {"adopted", "adapted", "dropped", "reopened"},
}
_CHANGE = """
INSERT INTO change (ticket, seq, change, from_state, to_state, at, actor) VALUES ($1, $2, $3, $4, $5, $6, $7)
"""


def walk(rng: random.Random, opened: TicketStep, count: int) -> Iterator[TicketStep]:
    """A life of a ticket by any changes that its machine allows, by anybody."""
    step = opened
    yield step
    for seq in range(2, count + 2):
        state = step.ticket.state
        change, after = rng.choice(
            [(c, after) for c in ALLOWED for before, after in ALLOWED[c] if before is state and c != "updated"]
        )
        at = step.at + timedelta(hours=rng.randrange(3))
        ticket = replace(step.ticket, state=after, seq=seq)
        step = TicketStep(change, ticket, at, rng.choice(list(Actor)), before=state)
        yield step


async def write(connection: Connection, step: TicketStep, number: int) -> TicketStep:
    """A change as the store writes it, past what a real ticket would need besides."""
    step = replace(step, ticket=replace(step.ticket, id=number))
    states = step.before and step.before.value, step.ticket.state.value
    await connection.execute(_CHANGE, number, step.ticket.seq, step.change.value, *states, step.at, step.actor.value)
    await waits.record(connection, step)
    return step


def searched(lives: Sequence[Sequence[TicketStep]], wait: Wait, now: datetime) -> WaitTimes | None:
    """From each change of the system that asks to the first later one that answers."""
    over, going_on, asked = list[timedelta](), list[timedelta](), 0
    for life in lives:
        for n, step in enumerate(life):
            if step.change.value not in ASKED[wait] or step.actor is not Actor.SYSTEM:
                continue
            asked += 1
            answer = next((later for later in life[n + 1 :] if later.change.value in ANSWERED[wait]), None)
            if answer is None:
                going_on.append(now - step.at)
            elif answer.actor is Actor.PERSON:
                over.append(answer.at - step.at)
    if not asked:
        return None
    middle = median(over) if over else None
    return WaitTimes(len(over), middle, max(over, default=None), len(going_on), max(going_on, default=None))


@pytest.mark.parametrize("seed", range(4))
async def test_waits_are_those_of_the_histories(pool: Pool, seed: int) -> None:
    rng, lives, now = random.Random(seed), list[list[TicketStep]](), BEGIN + timedelta(days=99)
    async with pool.acquire() as connection:
        await connection.execute("SET session_replication_role = replica")
        for number in range(1, 13):
            opened = begin(problem(key=f"aging/p{number % 2}/s", pipeline=f"p{number % 2}"), BEGIN)
            life = [await write(connection, step, number) for step in walk(rng, opened, rng.randrange(40))]
            lives.append(life)

        found = await waits.times(connection, None, None, now)

    assert found == {wait: times for wait in ASKED if (times := searched(lives, wait, now))}


async def test_waits_of_a_pipeline_and_of_a_kind(pool: Pool) -> None:
    async with pool.acquire() as connection:
        steps = [
            await tickets.save(connection, begin(problem(key=f"{kind}/{name}/s", kind=kind, pipeline=name), BEGIN))
            for kind, name in (("aging", "a"), ("aging", "b"), ("stalled", "b"))
        ]
    seen = TicketChange.ACKNOWLEDGED
    ticket = replace(steps[0].ticket, state=TicketState.ACKNOWLEDGED, seq=2)
    async with pool.acquire() as connection, connection.transaction():
        at = BEGIN + timedelta(hours=5)
        await tickets.save(connection, TicketStep(seen, ticket, at, Actor.PERSON, before=TicketState.OPEN))

    now = BEGIN + timedelta(days=1)
    every = [
        (await waits.times(pool, *where, now))[Wait.SEEN]
        for where in ((None, None), ("a", None), ("b", None), ("b", "stalled"), (None, "aging"))
    ]

    assert [(one.answered, one.waiting) for one in every] == [(1, 2), (1, 0), (0, 2), (0, 1), (1, 1)]
    assert await waits.times(pool, "a", "stalled", now) == {}
