"""Rebuilds everything from the history: after an import or a change of the policy, intervals equal f(history, policy).

Writers wait while it runs, so that it sees one consistent history.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from services.detector.evaluate.evaluator import Evaluator, PassResult
from services.detector.publish.handovers import HandoverPublisher
from services.detector.publish.problems import ProblemPublisher
from services.detector.settings import DetectorSettings
from services.detector.store import causes, copy_tables, evaluation, fingerprint, history, learning, receipts, weeks
from services.detector.store import stages as stage_store
from services.detector.store.folded_deals import FoldedDeals
from services.detector.store.watermark import bound, current_watermark, database_now
from shared.flow.checkpoints import BEGINNING
from shared.flow.deltas import CountDeltas
from shared.flow.fold import fold
from shared.flow.handover import Handover
from shared.flow.ruleset import Ruleset
from shared.flow.stage_resolver import StageResolver
from shared.flow.statistics.measures import definition_of
from shared.flow.visits import Event
from shared.postgres.pool import TRANSIENT, Connection, Pool
from shared.runtime.clock import ClockKind
from shared.runtime.log import logger
from shared.runtime.retry import retry_forever

_log = logger(__name__)
_CHUNK = 5000
_FREEZE = "LOCK TABLE event, span_change IN SHARE ROW EXCLUSIVE MODE"
# Counts of a whole history are packed between two statements.
_BE_PATIENT = "SET LOCAL idle_in_transaction_session_timeout = '10min'"
_CLEAR = "TRUNCATE span_change, late_change, bucket, checkpoint, due"
_COUNT = "SELECT count(*) FROM event"
ReportProgress = Callable[[int, int], None]
"""Called with (events read, events in all)."""


@dataclass
class _Rebuilt:
    """Counts of every series, and the deals that are not written yet."""

    resolver: StageResolver
    counts: CountDeltas
    folded: FoldedDeals
    handovers: dict[str, Handover] = field(default_factory=dict)

    def add(self, events: list[Event]) -> None:
        """Fold one deal."""
        state = fold(events, self.resolver)
        for visit in state.visits:
            self.counts.add(visit)
        self.folded.add(events[0].deal, state, state.visits)
        if state.handover is not None:
            self.handovers[events[0].deal] = state.handover


async def follow_policy(pool: Pool, ruleset: Ruleset, settings: DetectorSettings) -> None:
    """At start: where the policy, or how stages resolve, has changed, rebuild and reevaluate within the lateness.

    Waits while the database is unavailable.
    """
    async for attempt in retry_forever(_log, "waiting for Postgres", TRANSIENT):
        with attempt:
            async with pool.acquire() as connection, connection.transaction():
                await evaluation.lock(connection)
                await adopt(connection, ruleset, settings)


async def adopt(
    connection: Connection, ruleset: Ruleset, settings: DetectorSettings, effective_at: int | None = None
) -> None:
    """Where what is stored was built under another policy, rebuild, and reevaluate from the lateness before an instant.

    `effective_at`: that instant; None: the watermark. The caller holds the lock of evaluation.
    """
    resolver = StageResolver(ruleset.policy, await stage_store.load(connection))
    await weeks.follow_policy(connection, definition_of(ruleset.policy))
    stored, own = await fingerprint.stored(connection), fingerprint.of(ruleset, resolver)
    if stored == own:
        return
    if not stored.ruleset:
        await fingerprint.save(connection, own)
        return
    _log.info("policy changed: reevaluating within the lateness; andon reevaluate does so for all time")
    watermark, held = await evaluation.state(connection)
    edge = watermark if effective_at is None or watermark is None else effective_at
    since = BEGINNING if edge is None else edge - ruleset.policy.lateness.micros()
    await _rebuild(connection, ruleset, resolver, settings, since, held, lambda done, total: None)


async def rebuild(
    pool: Pool, ruleset: Ruleset, settings: DetectorSettings, since: int, report: ReportProgress
) -> PassResult | None:
    """Refold all deals, rebuild all counts, evaluate from the beginning, publish what differs after `since`.

    Ends a hold. None: the watermark is not known yet; the evaluator will start as soon as it is.
    """
    async with pool.acquire() as connection, connection.transaction():
        await evaluation.lock(connection)
        resolver = StageResolver(ruleset.policy, await stage_store.load(connection))
        await evaluation.set_held(connection, False)
        return await _rebuild(connection, ruleset, resolver, settings, since, False, report)


async def _rebuild(
    connection: Connection,
    ruleset: Ruleset,
    resolver: StageResolver,
    settings: DetectorSettings,
    since: int,
    held: bool,
    report: ReportProgress,
) -> PassResult | None:
    await connection.execute(_BE_PATIENT)
    await connection.execute(_FREEZE)
    watermark = (await evaluation.state(connection)).watermark
    until = await _until(connection, watermark, settings.clock)
    # Before `visit` is locked: the publisher of weeks holds this row while it reads visits.
    await weeks.rebuilt(connection, None if held else until, since)
    await receipts.rebuilt(connection, since)
    await learning.lock(connection)
    await causes.mark(connection, BEGINNING, since)
    await learning.rebuilt(connection, ruleset.stages, BEGINNING, None if held else until, since)
    rebuilt = _Rebuilt(resolver, CountDeltas(ruleset), FoldedDeals(ruleset))
    counts = await _refold_all(connection, rebuilt, report)
    await HandoverPublisher(settings.topic_prefix, settings.clock).publish_all(connection, rebuilt.handovers)
    await connection.execute(_CLEAR)
    changes = counts.packed()
    await fingerprint.save(connection, fingerprint.of(ruleset, resolver))
    if until is None or held:
        # It is too early to evaluate: the evaluator will find the counts as if writers had just added them.
        await history.add_changes(connection, changes)
        return None
    await evaluation.merge(connection, changes)
    evaluator = Evaluator(ruleset, ProblemPublisher(ruleset, settings.topic_prefix), settings.clock)
    return await evaluator.reevaluate(connection, since, until, datetime.now(UTC))


async def _until(connection: Connection, reached: int | None, clock: ClockKind) -> int | None:
    """How far to evaluate: as far as before, but not beyond the present, where a clock that was ahead had led."""
    if clock is ClockKind.WALL:
        await bound(connection)
    current = await current_watermark(connection, clock)
    if reached is None:
        return current
    if clock is ClockKind.LOG:
        return reached
    return min(reached, await database_now(connection) if current is None else current)


async def _refold_all(connection: Connection, rebuilt: _Rebuilt, report: ReportProgress) -> CountDeltas:
    total, done = await connection.fetchval(_COUNT), 0
    await connection.execute("TRUNCATE visit, closing, withdrawn_visit")
    async for events in history.deals(connection):
        rebuilt.add(events)
        done += len(events)
        if len(rebuilt.folded.states) >= _CHUNK:
            await _write(connection, rebuilt.folded)
            report(done, total)
    await _write(connection, rebuilt.folded)
    report(total, total)
    return rebuilt.counts


async def _write(connection: Connection, folded: FoldedDeals) -> None:
    await history.overwrite_states(connection, folded.states)
    await folded.write_visits(connection, refolded=[])
    await copy_tables.clear(connection)
    folded.clear()
