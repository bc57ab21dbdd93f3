"""What a batch of events changes: counts, states of deals, visits, closings. Writes nothing to the database."""

from __future__ import annotations

from collections.abc import Sequence

from services.detector.ingest import first_change
from services.detector.ingest.stage_marks import StageMarks
from services.detector.store.folded_deals import FoldedDeals
from shared.flow.deltas import CountDeltas
from shared.flow.fold import fold
from shared.flow.handover import Handover
from shared.flow.ruleset import Ruleset
from shared.flow.stage_resolver import StageResolver
from shared.flow.visits import ATTRIBUTES, CHANGED, LOST, TOUCHED, WON, DealState, Event, Visit

# Fields that change no visit.
_DESCRIBING = frozenset((*ATTRIBUTES, "reason", "activity", "buyer", "translation"))


class BatchChanges:
    """Collects what folding deals changes.

    `first_at`: the first instant at which something changes; None: nothing does. `handovers`: what deals hand over now,
    where that may have changed. `unknown_stage`, `of_deleted_deals`: visits and events to count in metrics.
    """

    def __init__(self, ruleset: Ruleset, resolver: StageResolver) -> None:
        self._ruleset, self._resolver = ruleset, resolver
        self.counts, self.marks, self.folded = CountDeltas(ruleset), StageMarks(ruleset.stages), FoldedDeals(ruleset)
        self.handovers: dict[str, Handover | None] = {}
        self.first_at: int | None = None
        self.unknown_stage = self.of_deleted_deals = 0

    def go_on(self, deal: str, state: DealState, events: list[Event]) -> None:
        """The usual case: all events are later than those that the state has applied."""
        before = state.current
        if before is not None and all(map(_only_describes, events)):
            # Nothing is counted or learned from attributes; the expected close is in weekly measures.
            state.apply(events, self._resolver)
            self._since(events[0].key.time)
            self.folded.add(deal, state, [])
            return
        if before is not None:
            self.counts.add(before, -1)
        was_gone = state.gone
        state.apply(events, self._resolver)
        if state.handover is not None:
            self.handovers[deal] = state.handover
        if was_gone and state.gone and not state.merged:
            self.of_deleted_deals += sum(map(_places_deal, events))
        known = after = state.visits
        # Usually it goes on, or is the first that ended.
        if before is not None and (not after or after[0] is not before):
            known = [before, *after]
            if before.entered not in [v.entered for v in after]:
                self.folded.gone.append((deal, before.entered))
        first = first_change.of_later_events(events[0].key.time, after, before, state.withdrawn)
        self._since(first)
        self.marks.add(known, state.withdrawn, first)
        self._keep(deal, state, after)

    def fold_anew(
        self, deal: str, stored: Sequence[Event], entered: Sequence[int], new: Sequence[Event], former: Sequence[Event]
    ) -> None:
        """An event comes before what the state has applied, or replaces a former one: fold all events of the deal.

        `stored`: all of them. `entered`: when the deal entered its stored visits.
        """
        added = {event.key.id for event in new}
        old = fold([event for event in stored if event.key.id not in added] + list(former), self._resolver)
        for visit in old.visits:
            self.counts.add(visit, -1)
        state = fold(stored, self._resolver)
        if old.handover != state.handover:
            self.handovers[deal] = state.handover
        changed = [*new, *former]
        first = first_change.of_refold(old, state, changed)
        self._since(first)
        at = min(event.key.time for event in changed)
        for known in (old, state):
            self.marks.add(known.visits, known.withdrawn, at if first is None else min(at, first))
        since = {visit.entered for visit in state.visits}
        self.folded.gone += [(deal, instant) for instant in entered if instant not in since]
        self._keep(deal, state, state.visits)

    def _since(self, instant: int | None) -> None:
        if instant is not None and (self.first_at is None or instant < self.first_at):
            self.first_at = instant

    def _keep(self, deal: str, state: DealState, visits: list[Visit]) -> None:
        for visit in visits:
            self.counts.add(visit)
            if not self._ruleset.knows(visit.pipeline, visit.stage):
                self.unknown_stage += 1
        self.folded.add(deal, state, visits)


def _only_describes(event: Event) -> bool:
    """Whether the event leaves the visits of its deal as they are, in any state."""
    usual = event.key.rank in (CHANGED, TOUCHED) and event.data.get("buyer") is not True
    return usual and _DESCRIBING.issuperset(event.data)


def _places_deal(event: Event) -> bool:
    return event.key.rank in (WON, LOST) or bool(event.data.get("stage"))
