"""SQL of what is learned of stages: what changed of them, learned versions, how often rules open by chance."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import orjson

from shared.flow.intervals import RuleState
from shared.flow.statistics.chance import CountChance
from shared.flow.statistics.learned_limits import LearnedVersion
from shared.flow.visits import Visit, WithdrawnVisit
from shared.postgres import locks
from shared.postgres.pool import Connection, Executor, Record
from shared.runtime.instants import micros, moment

Stage = tuple[str, str]
_LOCK = "learning"
_MARK = "INSERT INTO stage_change SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[])"
_TAKE = """
WITH taken AS (DELETE FROM stage_change WHERE at <= $1 RETURNING pipeline, stage, at)
INSERT INTO learned_stage AS s (pipeline, stage, stale_from)
SELECT pipeline, stage, min(at) FROM taken
WHERE at < $2 OR (pipeline, stage) IN (SELECT * FROM unnest($3::text[], $4::text[])) GROUP BY 1, 2
ON CONFLICT (pipeline, stage) DO UPDATE SET stale_from = least(s.stale_from, excluded.stale_from)
"""
_DUE = """
SELECT w.pipeline, w.stage, s.stale_from, s.reached, s.since, s.first_event
FROM unnest($1::text[], $2::text[]) AS w (pipeline, stage) LEFT JOIN learned_stage AS s USING (pipeline, stage)
WHERE s.next_at IS NULL OR s.stale_from IS NOT NULL OR s.next_at <= $3 OR s.first_event IS DISTINCT FROM $4
ORDER BY s.reached NULLS FIRST, 1, 2 LIMIT $5
"""
_SAVE_STAGE = """
INSERT INTO learned_stage (pipeline, stage, next_at, reached, first_event, state) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (pipeline, stage) DO UPDATE SET stale_from = NULL, since = NULL, next_at = excluded.next_at,
    reached = excluded.reached, first_event = excluded.first_event, state = excluded.state
"""
_REBUILT = """
INSERT INTO learned_stage AS s (pipeline, stage, stale_from, reached, since)
SELECT p, n, $3, $4, $5 FROM unnest($1::text[], $2::text[]) AS w (p, n)
ON CONFLICT (pipeline, stage) DO UPDATE SET stale_from = excluded.stale_from,
    reached = greatest(s.reached, excluded.reached), since = least(s.since, excluded.since)
"""
_VERSIONS = """
SELECT since, time_limit, count, clears_at, usual, rule_state FROM learned WHERE pipeline = $1 AND stage = $2
ORDER BY since
"""
_DROP_VERSIONS = "DELETE FROM learned WHERE pipeline = $1 AND stage = $2 AND since <> ALL($3::bigint[])"
_SAVE_VERSIONS = """
INSERT INTO learned (pipeline, stage, since, time_limit, count, clears_at, usual, details, rule_state)
SELECT $1, $2, f, l, n, c, u, d, s::jsonb
FROM unnest($3::bigint[], $4::bigint[], $5::int[], $6::int[], $7::float8[], $8::jsonb[], $9::text[])
    AS w (f, l, n, c, u, d, s)
ON CONFLICT (pipeline, stage, since) DO UPDATE SET time_limit = excluded.time_limit, count = excluded.count,
    clears_at = excluded.clears_at, usual = excluded.usual, details = excluded.details,
    rule_state = excluded.rule_state
"""
_SAVE_STATES = """
UPDATE learned SET rule_state = w.state::jsonb FROM unnest($3::bigint[], $4::text[]) AS w (since, state)
WHERE pipeline = $1 AND stage = $2 AND learned.since = w.since
"""
_VISITS = """
SELECT deal, pipeline, stage, entered, left_at, known, recorded FROM visit
WHERE pipeline = $1 AND stage = $2 AND entered <= $4 AND (left_at IS NULL OR left_at > $3)
"""
_DEALS = """
SELECT deal FROM visit WHERE pipeline = $1 AND stage = $2 AND (left_at IS NULL OR left_at > $3)
UNION SELECT deal FROM withdrawn_visit WHERE pipeline = $1 AND stage = $2 AND until > $3
"""
_WITHDRAWN = """
SELECT pipeline, stage, entered, known, recorded, until FROM withdrawn_visit
WHERE pipeline = $1 AND stage = $2 AND until > $3
"""
_NEXT_ENTERED = """
SELECT least(
    (SELECT min(entered) FROM visit WHERE pipeline = $1 AND stage = $2 AND left_at IS NULL AND entered > $3),
    (SELECT min(entered) FROM visit WHERE pipeline = $1 AND stage = $2 AND left_at > $4 AND entered > $3)
)
"""
_SAVE_CHANCES = """
INSERT INTO chance SELECT * FROM unnest($1::text[], $2::bigint[], $3::float8[], $4::float8[], $5::float8[])
ON CONFLICT (key) DO UPDATE SET at = excluded.at, per_quarter = excluded.per_quarter, usual = excluded.usual,
    exceed = excluded.exceed
"""
_CHANCES = "SELECT key, at, per_quarter, usual, exceed FROM chance WHERE key = ANY($1::text[])"
_SAVE_STAY = """
INSERT INTO stay VALUES ($1, $2, $3, $4)
ON CONFLICT (pipeline, stage) DO UPDATE SET at = excluded.at, curve = excluded.curve
"""
_STAY_AT = "SELECT at FROM stay WHERE pipeline = $1 AND stage = $2"
_STAYS = "SELECT pipeline, stage, curve FROM stay WHERE curve IS NOT NULL"
_CURRENT = """
SELECT s.pipeline, s.stage, s.state, v.since, v.time_limit, v.count, v.clears_at, v.usual, v.rule_state
FROM learned_stage AS s CROSS JOIN LATERAL (
    SELECT * FROM learned WHERE pipeline = s.pipeline AND stage = s.stage ORDER BY since DESC LIMIT 1
) AS v
WHERE s.state IS NOT NULL AND v.time_limit IS NOT NULL
"""


class StaleStage(NamedTuple):
    """A stage to learn of or to evaluate.

    `stale_from`: what is known of it has changed since; None: nothing has. `reached`: evaluated up to this instant.
    `since`: intervals that cleared by then stay, however far the history changed; None: those before the lateness.
    `first_event`: of the log, when it was evaluated.
    """

    pipeline: str
    stage: str
    stale_from: int | None
    reached: int | None
    since: int | None
    first_event: int | None


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """The numbers of a learned version; None where nothing was learned. `state`: of the rule as the version begins.

    `usual`: the mean of the number of visits over the limit.
    """

    since: int
    limit: int | None
    count: int | None
    clears_at: int | None
    usual: float | None
    state: RuleState


class CurrentVersion(NamedTuple):
    """The version in force in a stage, and the state of the rule now."""

    version: StoredVersion
    state: RuleState


@dataclass(frozen=True)
class StoredChance:
    """How often a rule opens by chance, as of the start of a week."""

    at: int
    chance: CountChance


async def try_lock(connection: Connection) -> bool:
    """Become the one that learns, until the end of the transaction; False where another is."""
    return await locks.try_lock(connection, _LOCK)


async def lock(connection: Connection) -> None:
    """Wait to become the one that learns, until the end of the transaction."""
    await locks.lock(connection, _LOCK)


async def mark(connection: Executor, changes: Mapping[Stage, int]) -> None:
    """What is known of stages has changed, each from an instant on."""
    if changes:
        await connection.execute(_MARK, *_columns(changes), list(changes.values()))


async def take_marks(connection: Connection, until: int, week_start: int, learned: Collection[Stage]) -> None:
    """Take the marks up to an instant into the stages' own rows.

    What changes in the week that is not over matters only to the rules of the `learned` stages.
    """
    await connection.execute(_TAKE, until, week_start, *_columns(learned))


async def due(
    connection: Connection, stages: Collection[Stage], until: int, first_event: int, at_once: int
) -> list[StaleStage]:
    """Some of the stages that changed, or in which something falls due by an instant."""
    rows = await connection.fetch(_DUE, *_columns(stages), until, first_event, at_once)
    return [StaleStage(*row) for row in rows]


async def save_stage(
    connection: Executor, stage: Stage, next_at: int, reached: int, first_event: int, state: RuleState
) -> None:
    """A stage is evaluated up to `reached`, and has to be again at `next_at`."""
    await connection.execute(_SAVE_STAGE, *stage, next_at, reached, first_event, state.pack())


async def rebuilt(
    connection: Connection, stages: Collection[Stage], stale_from: int, reached: int | None, since: int
) -> None:
    """The history was folded anew: everything is learned again; intervals that cleared by `since` stay."""
    await connection.execute(_REBUILT, *_columns(stages), stale_from, reached, since)


async def versions(connection: Executor, stage: Stage) -> list[StoredVersion]:
    """The versions of a stage, in order."""
    return [_version(row) for row in await connection.fetch(_VERSIONS, *stage)]


async def drop_versions(connection: Executor, stage: Stage, kept: Sequence[int]) -> None:
    """Delete the versions of a stage but those that begin at these instants."""
    await connection.execute(_DROP_VERSIONS, *stage, list(kept))


async def save_versions(connection: Executor, stage: Stage, learned: Sequence[LearnedVersion]) -> None:
    """Insert or update versions. Their states follow."""
    if learned:
        await connection.execute(
            _SAVE_VERSIONS,
            *stage,
            [one.since for one in learned],
            [one.limit for one in learned],
            [one.count for one in learned],
            [one.clears_at for one in learned],
            [_usual(one) for one in learned],
            [one.fields() for one in learned],
            [_text(RuleState())] * len(learned),
        )


async def save_states(connection: Executor, stage: Stage, states: Mapping[int, RuleState]) -> None:
    """Save in which state versions begin."""
    await connection.execute(_SAVE_STATES, *stage, list(states), [_text(state) for state in states.values()])


async def visits(connection: Executor, stage: Stage, left_after: int, entered_by: int) -> list[Visit]:
    """The visits of a stage that were entered by an instant, and were open after another."""
    rows = await connection.fetch(_VISITS, *stage, moment(max(left_after, 0)), moment(entered_by))
    return [_visit(row, None if row["left_at"] is None else micros(row["left_at"])) for row in rows]


async def withdrawn(connection: Executor, stage: Stage, after: int) -> list[WithdrawnVisit]:
    """The visits of a stage that were believed after an instant, and are no longer."""
    rows = await connection.fetch(_WITHDRAWN, *stage, moment(max(after, 0)))
    return [WithdrawnVisit(_visit(row, None), micros(row["until"])) for row in rows]


async def deals(connection: Executor, stage: Stage, left_after: int) -> list[str]:
    """The deals that were in a stage after an instant, or were believed to be."""
    return [row["deal"] for row in await connection.fetch(_DEALS, *stage, moment(max(left_after, 0)))]


async def next_entered(connection: Executor, stage: Stage, after: int, left_after: int) -> int | None:
    """The first entry into a stage after an instant, of the visits that are open after another."""
    found = await connection.fetchval(_NEXT_ENTERED, *stage, moment(after), moment(left_after))
    return None if found is None else micros(found)


async def save_chances(connection: Executor, at: int, found: Mapping[str, CountChance]) -> None:
    """Save how often rules open by chance, by problem key, as of the start of a week."""
    if found:
        values = list(found.values())
        await connection.execute(
            _SAVE_CHANCES,
            list(found),
            [at] * len(found),
            [one.per_quarter for one in values],
            [one.usual for one in values],
            [one.exceed for one in values],
        )


async def chances(connection: Executor, keys: Collection[str]) -> dict[str, StoredChance]:
    """How often rules open by chance, by problem key."""
    rows = await connection.fetch(_CHANCES, list(keys)) if keys else []
    return {
        row["key"]: StoredChance(row["at"], CountChance(row["per_quarter"], row["usual"], row["exceed"]))
        for row in rows
    }


async def stay_at(connection: Executor, stage: Stage) -> int | None:
    """As of when it is known how long deals stay in a stage."""
    found: int | None = await connection.fetchval(_STAY_AT, *stage)
    return found


async def save_stay(connection: Executor, stage: Stage, at: int, curve: str | None) -> None:
    """Save how long deals stay in a stage, as of the start of a week; None: too few visits to tell."""
    await connection.execute(_SAVE_STAY, *stage, at, curve)


async def stays(connection: Executor) -> dict[Stage, str]:
    """How long deals stay in each stage that has enough visits."""
    return {(row["pipeline"], row["stage"]): row["curve"] for row in await connection.fetch(_STAYS)}


async def current(connection: Executor) -> dict[Stage, CurrentVersion]:
    """What is in force in each stage that has learned."""
    rows = await connection.fetch(_CURRENT)
    return {
        (row["pipeline"], row["stage"]): CurrentVersion(_version(row), RuleState.unpack(row["state"])) for row in rows
    }


def _text(state: RuleState) -> str:
    """As text: a list within a list of parameters would be one more dimension of an array."""
    return orjson.dumps(state.pack()).decode()


def _usual(version: LearnedVersion) -> float | None:
    return None if version.crossings is None else float(version.crossings.mean)


def _version(row: Record) -> StoredVersion:
    state = RuleState.unpack(row["rule_state"])
    return StoredVersion(row["since"], row["time_limit"], row["count"], row["clears_at"], row["usual"], state)


def _visit(row: Record, left: int | None) -> Visit:
    recorded = 0 if row["recorded"] is None else micros(row["recorded"])
    return Visit(row["pipeline"], row["stage"], micros(row["entered"]), row["known"], left, recorded=recorded)


def _columns(stages: Collection[Stage]) -> Iterator[list[str]]:
    yield [pipeline for pipeline, _ in stages]
    yield [stage for _, stage in stages]
