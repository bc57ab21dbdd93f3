"""Refolds the deals of some sources, after descriptions changed how their stages resolve.

Deals of other sources, and deals that fold to the same visits under both maps, are not written.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from services.detector.ingest import first_change
from services.detector.ingest.stage_marks import StageMarks, stage_of
from services.detector.store import copy_tables, history, learning, weeks
from services.detector.store import stages as stage_store
from shared.flow.deltas import CountDeltas, PackedDeltas
from shared.flow.ruleset import Ruleset
from shared.flow.stage_resolver import StageResolver
from shared.flow.visits import Closing, DealState, Event, Visit, WithdrawnVisit, unique
from shared.postgres.pool import Connection

_CHUNK = 5000


@dataclass
class _Refolded:
    """How counts change, and since when; what is not written yet of states, visits and closings.

    `gone`: visits to delete, as (deal, entered).
    """

    before: StageResolver
    after: StageResolver
    ruleset: Ruleset
    counts: CountDeltas
    marks: StageMarks
    states: list[tuple[str, bytes]] = field(default_factory=list)
    visits: list[tuple[str, Visit]] = field(default_factory=list)
    gone: list[tuple[str, int]] = field(default_factory=list)
    closings: list[tuple[str, Closing]] = field(default_factory=list)
    withdrawn: list[tuple[str, WithdrawnVisit]] = field(default_factory=list)
    first_at: int | None = None

    def add(self, events: list[Event]) -> None:
        """Fold one deal under both maps."""
        deal, history_of_deal = events[0].deal, unique(events)
        old, new = DealState(), DealState()
        old.apply(history_of_deal, self.before)
        new.apply(history_of_deal, self.after)
        packed = new.pack()
        if _facts(old) == _facts(new) and old.pack() == packed:
            return
        first = first_change.of_refold(old, new)
        self.first_at = min((at for at in (first, self.first_at) if at is not None), default=None)
        for known in (old, new):
            self.marks.add(known.visits, known.withdrawn, history_of_deal[0].key.time if first is None else first)
        for visit in old.visits:
            self.counts.add(visit, -1)
        for visit in new.visits:
            self.counts.add(visit)
            self.visits.append((deal, visit))
        entered = {visit.entered for visit in new.visits}
        self.gone += [(deal, visit.entered) for visit in old.visits if visit.entered not in entered]
        self.closings += [(deal, closing) for closing in new.closings]
        self.withdrawn += [(deal, one) for one in new.withdrawn if self.ruleset.knows(*stage_of(one.visit))]
        self.states.append((deal, packed))


def _facts(state: DealState) -> tuple[object, ...]:
    return state.visits, state.closings, state.withdrawn


async def refold(
    connection: Connection, ruleset: Ruleset, sources: Collection[str], before: StageResolver, after: StageResolver
) -> dict[str, PackedDeltas]:
    """Refold the deals of the sources, in the caller's transaction; gives how counts change, by series.

    `before` is what the stored visits were folded under. Waits for the writers of these sources; they go on when the
    transaction ends, and must then find the fingerprint of `after`. The caller holds the evaluation lock.
    """
    await stage_store.lock_sources(connection, sources)
    refolded = _Refolded(before, after, ruleset, CountDeltas(ruleset), StageMarks(frozenset(ruleset.stages)))
    async for events in history.deals(connection, sources):
        refolded.add(events)
        if len(refolded.states) >= _CHUNK:
            await _write(connection, refolded)
    await _write(connection, refolded)
    if refolded.first_at is not None:
        await weeks.mark(connection, refolded.first_at)
    await learning.mark(connection, refolded.marks.since)
    return refolded.counts.packed()


async def _write(connection: Connection, refolded: _Refolded) -> None:
    if not refolded.states:
        return
    await history.overwrite_states(connection, refolded.states)
    await history.drop_visits(connection, refolded.gone)
    await history.save_visits(connection, refolded.visits)
    await history.drop_closings(connection, [deal for deal, _ in refolded.states])
    await history.add_closings(connection, refolded.closings)
    await history.drop_withdrawn(connection, [deal for deal, _ in refolded.states])
    await history.add_withdrawn(connection, refolded.withdrawn)
    await copy_tables.clear(connection)
    for written in (refolded.states, refolded.visits, refolded.gone, refolded.closings, refolded.withdrawn):
        written.clear()
