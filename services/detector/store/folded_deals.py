"""What folding deals gave, until it is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from services.detector.store import history
from shared.flow.packed_states import pack
from shared.flow.ruleset import Ruleset
from shared.flow.visits import Closing, DealState, Visit, WithdrawnVisit
from shared.postgres.pool import Connection


@dataclass
class FoldedDeals:
    """Packed states, and what changes of visits and closings, each with its deal. `gone`: visits to delete, by entry.

    Withdrawn visits are kept for stages of the ruleset only.
    """

    ruleset: Ruleset
    states: list[tuple[str, bytes]] = field(default_factory=list)
    visits: list[tuple[str, Visit]] = field(default_factory=list)
    gone: list[tuple[str, int]] = field(default_factory=list)
    closings: list[tuple[str, Closing]] = field(default_factory=list)
    withdrawn: list[tuple[str, WithdrawnVisit]] = field(default_factory=list)

    def add(self, deal: str, state: DealState, visits: Sequence[Visit]) -> None:
        """Add the state of a deal with its closings and withdrawn visits, and those of its visits that changed."""
        for visit in visits:
            self.visits.append((deal, visit))
        if state.closings:
            self.closings += [(deal, closing) for closing in state.closings]
        if state.withdrawn:
            self.withdrawn += [
                (deal, one) for one in state.withdrawn if self.ruleset.knows(one.visit.pipeline, one.visit.stage)
            ]
        self.states.append((deal, pack(state)))

    async def write_visits(self, connection: Connection, refolded: Sequence[str]) -> None:
        """Write all but the states. `refolded`: deals whose stored closings and withdrawn visits are replaced."""
        await history.drop_visits(connection, self.gone)
        await history.save_visits(connection, self.visits)
        await history.drop_closings(connection, refolded)
        await history.add_closings(connection, self.closings)
        await history.drop_withdrawn(connection, refolded)
        await history.add_withdrawn(connection, self.withdrawn)

    def clear(self) -> None:
        for written in (self.states, self.visits, self.gone, self.closings, self.withdrawn):
            written.clear()
