"""The first instant that changes: what a deal did before it is the same in both folds, and no later one would do."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from services.detector.ingest import first_change
from shared.contracts.events import DealEvent
from shared.flow.events import event_of
from shared.flow.fold import fold, unique
from shared.flow.packed_states import pack, unpack
from shared.flow.stage_map import StageMap
from shared.flow.stage_resolver import StageResolver
from shared.flow.visits import DealState, Event
from shared.policy import parse
from tests.support import histories

RESOLVER = StageResolver(parse(json.dumps(histories.two_pipelines([]))), StageMap())


def before(state: DealState, instant: int | None) -> tuple[object, ...]:
    """What weekly measures of the time before the instant depend on; None: of all time."""
    stays = [
        (v.pipeline, v.stage, v.entered, v.known, v.left if instant is None or (v.left or instant) < instant else None)
        for v in state.visits
        if instant is None or v.entered < instant
    ]
    return stays, [c for c in state.closings if instant is None or c.time < instant]


def one_deal(events: list[DealEvent]) -> list[Event]:
    return unique(event_of(event) for event in events if event.subject == "crm:0")


@given(histories.events(ends=True) | histories.wandering(), st.data())
def test_nothing_before_the_first_change_differs_between_two_folds(
    events: list[DealEvent], data: st.DataObject
) -> None:
    listed = one_deal(events)
    some = data.draw(st.lists(st.sampled_from(listed), unique_by=lambda event: event.key.id))
    old, new = fold(some, RESOLVER), fold(listed, RESOLVER)
    first = first_change.of_refold(old, new)

    assert before(old, first) == before(new, first)
    if first is not None:
        assert before(old, first + 1) != before(new, first + 1), "a later one would do"


@given(histories.events(ends=True) | histories.wandering(), st.data())
def test_nothing_before_the_first_change_differs_after_later_events(
    events: list[DealEvent], data: st.DataObject
) -> None:
    listed = one_deal(events)
    cut = data.draw(st.integers(0, len(listed) - 1))
    old, whole = fold(listed[:cut], RESOLVER), fold(listed, RESOLVER)
    state = unpack(pack(old))
    current = state.current
    state.apply(listed[cut:], RESOLVER)
    first = first_change.of_later_events(listed[cut].key.time, state.visits, current, state.withdrawn)

    assert before(old, first) == before(whole, first)


def test_a_told_close_date_changes_from_its_event_on() -> None:
    told = DealEvent.model_validate(
        {
            "id": "1",
            "source": "crm",
            "type": "andon.deal.changed",
            "subject": "crm:0",
            "time": histories.at(7),
            "data": {"expected_close": None},
        }
    )
    event = event_of(told)

    assert first_change.of_refold(DealState(), fold([event], RESOLVER), [event]) == event.key.time
    assert first_change.of_refold(DealState(), DealState(), []) is None
