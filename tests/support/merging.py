"""Deals that merges make, and what the definition says: where each continues, by rounds until nothing changes."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from services.detector.store.handovers import event_id
from shared.contracts.events import DealEvent
from shared.flow.events import event_of
from shared.flow.fold import fold
from shared.flow.stage_map import StageMap
from shared.flow.stage_resolver import StageResolver
from shared.policy import Policy
from shared.runtime.instants import moment
from tests.support.detector_store import Store
from tests.support.histories import at


def told(deal: int, second: float, kind: str, number: int = 0, translation: int = 0, **data: Any) -> DealEvent:
    """An event of a deal, `second` seconds after the start."""
    return DealEvent.model_validate(
        {
            "id": f"{deal}-{second}-{kind}-{number}",
            "source": "crm",
            "type": f"andon.deal.{kind}",
            "subject": f"crm:{deal}",
            "time": at(0) + (at(1) - at(0)) * second,
            "translation": translation,
            "data": data,
        }
    )


def merged(deal: int, second: float, into: int, **data: Any) -> DealEvent:
    """The merge of the primary deal into a new one."""
    return told(deal, second, "merged", into=f"crm:{into}", primary=True, **data)


def continued(events: list[DealEvent], policy: Policy, stage_map: StageMap | None = None) -> list[DealEvent]:
    """The moves of new deals that these events imply, also those that follow from one another."""
    resolver, moves = StageResolver(policy, stage_map or StageMap()), dict[str, DealEvent]()
    while True:
        found: dict[str, DealEvent] = {}
        by_deal: dict[str, list[DealEvent]] = {}
        for event in [*events, *moves.values()]:
            by_deal.setdefault(event.deal, []).append(event)
        for deal, own in by_deal.items():
            handover = fold(map(event_of, own), resolver).handover
            if handover is not None:
                data = {"stage": handover.stage, "merged_from": deal}
                if handover.pipeline is not None:
                    data["pipeline"] = handover.pipeline
                move = told(0, 0, "moved", **data).model_copy(
                    update={
                        "id": event_id((deal, handover.into)),
                        "subject": handover.into,
                        "time": moment(handover.time),
                    }
                )
                found[move.id] = move
        if found == moves:
            return list(moves.values())
        moves = found


class PublishedEvents:
    """What a detector published on `pipeline.events`, in order."""

    def __init__(self, store: Store) -> None:
        self._store, self._read = store, 0
        self.published: list[bytes] = []

    async def poll(self) -> list[bytes]:
        """What is new since the last call."""
        rows = await self._store.pool.fetch(
            "SELECT id, value FROM outbox WHERE topic = 'pipeline.events' AND id > $1 ORDER BY id", self._read
        )
        if rows:
            self._read = rows[-1]["id"]
        self.published += [row["value"] for row in rows]
        return [row["value"] for row in rows]

    async def settle(self) -> None:
        """Hand the detector what it publishes until it publishes nothing more."""
        while waiting := await self.poll():
            await self._store.take(waiting)


_STAGES = st.sampled_from(["a", "a", "b", "c", "won"])
_SECONDS = st.integers(0, 30)


def _of_deal(deal: int, number: int) -> st.SearchStrategy[DealEvent]:
    def event(kind: str, second: int, **data: Any) -> DealEvent:
        return told(deal, second, kind, number, **data)

    new = st.sampled_from([other for other in (1, 2, 3, 4) if other != deal])
    moves = st.builds(lambda s, stage: event("moved", s, stage=stage), _SECONDS, _STAGES)
    placed = st.builds(lambda s, stage: event("created", s, pipeline="p", stage=stage), _SECONDS, _STAGES)
    pipelines = st.builds(lambda s, p: event("changed", s, pipeline=p), _SECONDS, st.sampled_from(["p", "q", None]))
    ends = st.builds(lambda s, k: event(k, s), _SECONDS, st.sampled_from(["won", "deleted", "reopened", "created"]))
    merges = st.builds(
        lambda s, into, primary: event("merged", s, into=f"crm:{into}", primary=primary),
        _SECONDS,
        new,
        st.sampled_from([True, True, False]),
    )
    return st.one_of(placed, moves, pipelines, ends, merges, merges)


@st.composite
def histories_with_merges(draw: st.DrawFn) -> list[DealEvent]:
    """Events of up to four deals that merge into one another."""
    return [draw(_of_deal(draw(st.integers(1, 3)), number)) for number in range(draw(st.integers(1, 9)))]
