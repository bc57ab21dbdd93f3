"""The visits as events before an instant make them: the same as folding only these events."""

from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.contracts.events import DealEvent
from shared.flow.events import event_of
from shared.flow.fold import fold, unique
from shared.flow.known_visits import known_before
from shared.flow.stage_map import StageMap
from shared.flow.stage_resolver import StageResolver
from shared.flow.visits import Visit
from shared.policy import parse
from shared.runtime.instants import micros
from tests.support import histories
from tests.support.examples import examples
from tests.support.histories import END, at

RESOLVER = StageResolver(parse(json.dumps(histories.two_pipelines([]))), StageMap())


def ordered(visits: list[Visit]) -> list[Visit]:
    return sorted((replace(visit, recorded=0) for visit in visits), key=lambda visit: (visit.entered, visit.stage))


@settings(max_examples=examples(500), deadline=None)
@given(histories.events(ends=True) | histories.wandering(), st.integers(0, END))
def test_later_events_have_told_nothing_yet(events: list[DealEvent], second: int) -> None:
    instant = micros(at(second))
    for deal in {event.subject for event in events}:
        mine = unique(event_of(event) for event in events if event.subject == deal)
        state = fold(mine, RESOLVER)
        before = fold((event for event in mine if event.key.time < instant), RESOLVER)

        assert ordered(known_before(state.visits, state.withdrawn, instant)) == ordered(before.visits)
