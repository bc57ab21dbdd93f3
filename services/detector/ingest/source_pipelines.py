"""Notes in which pipelines sources have deals: whose problem it is when one of them is silent."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import product

from services.detector.store import receipts
from shared.flow.stage_resolver import source_of
from shared.flow.visits import Visit
from shared.stream.transaction import Transaction


class SourcePipelines:
    """One for each writer: it remembers what is stored, so that a batch usually costs no statement."""

    def __init__(self) -> None:
        self._known: set[tuple[str, str]] = set()

    async def note(
        self, transaction: Transaction, sources: Collection[str], visits: Sequence[tuple[str, Visit]]
    ) -> None:
        """Store the pipelines of these visits, each with its deal, where they are new. `sources`: of all the deals."""
        if self._known.issuperset(product(sources, {visit.pipeline for _, visit in visits})):
            return
        new = {(source_of(deal), visit.pipeline) for deal, visit in visits} - self._known
        if new:
            await receipts.add_pipelines(transaction.connection, new)
            transaction.after_commit(lambda: self._known.update(new))
