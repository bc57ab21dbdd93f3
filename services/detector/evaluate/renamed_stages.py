"""Refolds the deals of some sources, after descriptions changed how their stages resolve.

Deals of other sources, and deals that fold to the same visits under both maps, are not written.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from services.detector.ingest import first_change
from services.detector.ingest.stage_marks import StageMarks
from services.detector.publish.handovers import HandoverPublisher
from services.detector.store import copy_tables, history, learning, weeks
from services.detector.store import stages as stage_store
from services.detector.store.folded_deals import FoldedDeals
from shared.flow.deltas import CountDeltas, PackedDeltas
from shared.flow.fold import unique
from shared.flow.handover import Handover
from shared.flow.packed_states import pack
from shared.flow.ruleset import Ruleset
from shared.flow.stage_resolver import StageResolver
from shared.flow.visits import DealState, Event
from shared.postgres.pool import Connection

_CHUNK = 5000


@dataclass
class _Refolded:
    """How counts change, and since when; the deals that are not written yet."""

    before: StageResolver
    after: StageResolver
    counts: CountDeltas
    marks: StageMarks
    folded: FoldedDeals
    handovers: dict[str, Handover | None] = field(default_factory=dict)
    first_at: int | None = None

    def add(self, events: list[Event]) -> None:
        """Fold one deal under both maps."""
        deal, history_of_deal = events[0].deal, unique(events)
        old, new = DealState(), DealState()
        old.apply(history_of_deal, self.before)
        new.apply(history_of_deal, self.after)
        if _facts(old) == _facts(new) and pack(old) == pack(new):
            return
        if old.handover != new.handover:
            self.handovers[deal] = new.handover
        first = first_change.of_refold(old, new)
        self.first_at = min((at for at in (first, self.first_at) if at is not None), default=None)
        for known in (old, new):
            self.marks.add(known.visits, known.withdrawn, history_of_deal[0].key.time if first is None else first)
        for visit in old.visits:
            self.counts.add(visit, -1)
        for visit in new.visits:
            self.counts.add(visit)
        entered = {visit.entered for visit in new.visits}
        self.folded.gone += [(deal, visit.entered) for visit in old.visits if visit.entered not in entered]
        self.folded.add(deal, new, new.visits)


def _facts(state: DealState) -> tuple[object, ...]:
    return state.visits, state.closings, state.withdrawn


async def refold(
    connection: Connection,
    ruleset: Ruleset,
    sources: Collection[str],
    before: StageResolver,
    after: StageResolver,
    handovers: HandoverPublisher,
) -> dict[str, PackedDeltas]:
    """Refold the deals of the sources, in the caller's transaction; returns how counts change, by series.

    `before` is what the stored visits were folded under. Waits for the writers of these sources; they go on when the
    transaction ends, and must then find the fingerprint of `after`. The caller holds the evaluation lock.
    """
    await stage_store.lock_sources(connection, sources)
    marks = StageMarks(frozenset(ruleset.stages))
    refolded = _Refolded(before, after, CountDeltas(ruleset), marks, FoldedDeals(ruleset))
    async for events in history.deals(connection, sources):
        refolded.add(events)
        if len(refolded.folded.states) >= _CHUNK:
            await _write(connection, refolded.folded)
    await _write(connection, refolded.folded)
    await handovers.publish(connection, refolded.handovers)
    if refolded.first_at is not None:
        await weeks.mark(connection, refolded.first_at)
    await learning.mark(connection, refolded.marks.since)
    return refolded.counts.packed()


async def _write(connection: Connection, folded: FoldedDeals) -> None:
    if not folded.states:
        return
    await history.overwrite_states(connection, folded.states)
    await folded.write_visits(connection, refolded=[deal for deal, _ in folded.states])
    await copy_tables.clear(connection)
    folded.clear()
