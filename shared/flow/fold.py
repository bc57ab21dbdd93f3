"""Folds all events of one deal at once, in whatever order they come."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter

import orjson

from shared.flow.stage_lookup import StageLookup
from shared.flow.visits import DealState, Event, EventKey, Visit

_KEY = attrgetter("key")


def unique(events: Iterable[Event]) -> list[Event]:
    """Each event once, in order. Of two with the same id, the same one stays in any order of arrival."""
    listed = list(events)
    if len({event.key.id for event in listed}) == len(listed):
        listed.sort(key=_KEY)
        return listed
    found: dict[str, Event] = {}
    for event in listed:
        other = found.setdefault(event.key.id, event)
        if other is not event and precedence(event) < precedence(other):
            found[event.key.id] = event
    return sorted(found.values(), key=_KEY)


def precedence(event: Event) -> tuple[int, EventKey, bytes]:
    """Of events that share an id the one with the least precedence stays: that of the latest translation."""
    return -event.data.get("translation", 0), event.key, orjson.dumps(event.data, option=orjson.OPT_SORT_KEYS)


def fold(events: Iterable[Event], stages: StageLookup) -> DealState:
    """The state of one deal after all its events, in any order and repeated; its `visits` are all visits."""
    state = DealState()
    state.apply(unique(events), stages)
    return state


def visits(events: Iterable[Event], stages: StageLookup) -> list[Visit]:
    """All visits of one deal, in the order of entering; the last may be open."""
    return fold(events, stages).visits
