"""Works everything out anew: after an import or a change of the policy, intervals equal f(history, policy) again.

While it runs the writers wait, so it sees one consistent history.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from services.detector.evaluate.evaluator import Evaluator, PassResult
from services.detector.publish.problems import ProblemPublisher
from services.detector.settings import DetectorSettings
from services.detector.store import copy_tables, evaluation, fingerprint, history
from services.detector.store import stages as stage_store
from services.detector.store.watermark import judgement_time
from shared.flow.checkpoints import BEGINNING
from shared.flow.counts import CountDeltas
from shared.flow.ruleset import Ruleset
from shared.flow.stage_resolver import StageResolver
from shared.flow.visits import DealState, Event, Visit, unique
from shared.runtime.log import logger

_log = logger(__name__)
_CHUNK = 5000
_FREEZE = "LOCK TABLE event, span_change IN SHARE ROW EXCLUSIVE MODE"
_CLEAR = "TRUNCATE span_change, bucket, checkpoint, due"
_NOTE = "UPDATE judgement SET series = $1, outcomes = $2"
_RELEASE = "UPDATE judgement SET held = false"
_COUNT = "SELECT count(*) FROM event"
Show = Callable[[int, int], None]


@dataclass
class Rebuilt:
    """Counts of every series, and the visits of the chunk in hand."""

    judging: Ruleset
    counts: CountDeltas
    stays: list[tuple[str, Visit]] = field(default_factory=list)
    packed: list[tuple[str, bytes]] = field(default_factory=list)

    def take(self, deal: str, events: list[Event]) -> None:
        state = DealState()
        state.take(unique(events), self.judging.places)
        for visit in state.finished + ([state.current] if state.current is not None else []):
            self.stays.append((deal, visit))
            self.counts.add(visit)
        self.packed.append((deal, state.pack()))


async def follow_policy(pool: Any, judging: Ruleset, settings: DetectorSettings) -> None:
    """At start: when the terms of the policy or of the stage map have changed, judge anew within the lateness."""
    async with pool.acquire() as connection, connection.transaction():
        await evaluation.lock(connection)
        judging.places = StageResolver(judging.policy, await stage_store.load(connection))
        known, mine = await fingerprint.stored(connection), fingerprint.of(judging)
        if known == mine:
            return
        if not known.series:
            await connection.execute(_NOTE, *mine)
            return
        _log.info("the policy has changed: judging anew within the lateness; andon reevaluate does so for all time")
        await refold(connection, judging, settings)


async def refold(connection: Any, judging: Ruleset, settings: DetectorSettings) -> PassResult | None:
    """As `rebuild` within the lateness, in the caller's transaction that holds the judge's lock; a hold goes on."""
    judged, held = await connection.fetchrow("SELECT judged, held FROM judgement")
    since = BEGINNING if judged is None else judged - judging.policy.lateness.micros()
    return await _anew(connection, judging, settings, since, held, lambda done, total: None)


async def rebuild(pool: Any, judging: Ruleset, settings: DetectorSettings, since: int, show: Show) -> PassResult | None:
    """Refold all deals, rebuild all counts, judge from the beginning, tell what differs after `since`; ends a hold."""
    async with pool.acquire() as connection, connection.transaction():
        await evaluation.lock(connection)
        judging.places = StageResolver(judging.policy, await stage_store.load(connection))
        await connection.execute(_RELEASE)
        return await _anew(connection, judging, settings, since, False, show)


async def _anew(
    connection: Any, judging: Ruleset, settings: DetectorSettings, since: int, held: bool, show: Show
) -> PassResult | None:
    await connection.execute(_FREEZE)
    judged = await connection.fetchval("SELECT judged FROM judgement")
    rebuilt = await _refold(connection, judging, show)
    await connection.execute(_CLEAR)
    counts = rebuilt.counts.packed()
    await connection.execute(_NOTE, *fingerprint.of(judging))
    until = judged or await judgement_time(connection, settings.clock)
    if until is None or held:
        # Nothing may be judged yet: the judge will find the counts as if they had just been written.
        await history.add_changes(connection, counts)
        return None
    await evaluation.merge(connection, counts)
    judge = Evaluator(judging, ProblemPublisher(judging, settings.topic_prefix), settings.clock)
    return await judge.judge_all(connection, since, until, datetime.now(UTC))


async def _refold(connection: Any, judging: Ruleset, show: Show) -> Rebuilt:
    rebuilt, deal = Rebuilt(judging, CountDeltas(judging)), None
    events: list[Event] = []
    total, done = await connection.fetchval(_COUNT), 0
    await connection.execute("TRUNCATE visit")
    async for event in history.all_events(connection):
        if event.deal != deal:
            if deal is not None:
                rebuilt.take(deal, events)
            deal, events = event.deal, []
            if len(rebuilt.packed) >= _CHUNK:
                await _save(connection, rebuilt)
                show(done, total)
        events.append(event)
        done += 1
    if deal is not None:
        rebuilt.take(deal, events)
    await _save(connection, rebuilt)
    show(total, total)
    return rebuilt


async def _save(connection: Any, rebuilt: Rebuilt) -> None:
    await history.restate_deals(connection, rebuilt.packed)
    await history.save_visits(connection, rebuilt.stays)
    await copy_tables.clear(connection)
    rebuilt.packed.clear()
    rebuilt.stays.clear()
