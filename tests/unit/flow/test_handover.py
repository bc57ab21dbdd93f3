"""Where a new deal continues that a merge has made, and what the primary deal hands over to it. By example."""

from __future__ import annotations

import json
from itertools import permutations
from typing import Any

import pytest

from shared.contracts.events import EventType
from shared.flow.fold import fold, visits
from shared.flow.handover import Handover
from shared.flow.packed_states import pack, unpack
from shared.flow.stage_map import StageMap
from shared.flow.stage_resolver import StageResolver
from shared.flow.visits import DealState, Event, EventKey
from shared.policy import parse
from tests.support import histories

# p: a, b, won; q: a, c, and b means lost there.
RESOLVER = StageResolver(parse(json.dumps(histories.two_pipelines([]))), StageMap())
RANKS = {kind.removeprefix("andon.deal."): kind.rank for kind in EventType}
Step = tuple[int, str, dict[str, Any]]
A: Step = (0, "created", {"pipeline": "p", "stage": "a"})
MERGE: Step = (9, "merged", {"into": "crm:3", "primary": True})
PLACE = {"merged_from": "crm:1", "pipeline": "p", "stage": "b"}


def events_of(*steps: Step) -> list[Event]:
    return [Event("crm:1", EventKey(at, RANKS[kind], str(n)), data) for n, (at, kind, data) in enumerate(steps)]


def handed_over(*steps: Step) -> tuple[str | None, str] | None:
    """The place, the same for the whole fold and for one that goes on from a stored state."""
    events = events_of(*steps)
    whole = fold(events, RESOLVER).handover
    state, found = DealState(), None
    for event in sorted(events, key=lambda one: one.key):
        state = unpack(pack(state))
        state.apply([event], RESOLVER)
        found = state.handover or found
    assert found == whole
    assert whole is None or (whole.into, whole.time) == ("crm:3", 9)
    return whole and (whole.pipeline, whole.stage)


@pytest.mark.parametrize(
    ("before", "place"),
    [
        ([A], ("p", "a")),
        ([A, (5, "moved", {"stage": "b"})], ("p", "b")),
        ([A, (9, "moved", {"stage": "b"})], ("p", "b")),
        ([A, (10, "moved", {"stage": "b"})], ("p", "a")),
        ([(0, "moved", {"stage": "c"})], (None, "c")),
        ([A, (4, "changed", {"pipeline": "q"})], ("q", "a")),
        ([A, (4, "moved", {"stage": "c"}), (5, "changed", {"pipeline": "q"})], ("q", "c")),
        ([A, (4, "moved", {"stage": "stranger"})], ("p", "stranger")),
        ([A, (4, "won", {}), (5, "reopened", {})], ("p", "a")),
        ([A, (4, "deleted", {}), (5, "reopened", {"stage": "b"})], ("p", "b")),
        ([A, (9, "deleted", {})], ("p", "a")),
        ([A, (4, "won", {})], None),
        ([A, (4, "moved", {"stage": "won"})], None),
        ([A, (4, "moved", {"stage": "b"}), (5, "changed", {"pipeline": "q"})], None),
        ([A, (4, "lost", {}), (5, "deleted", {}), (6, "reopened", {})], None),
        ([A, (4, "deleted", {})], None),
        ([A, (4, "merged", {"into": "crm:8"})], None),
        ([(0, "created", {})], None),
        ([], None),
    ],
)
def test_the_primary_deal_hands_over_the_stage_in_which_it_was_merged(
    before: list[Step], place: tuple[str | None, str] | None
) -> None:
    assert handed_over(*before, MERGE) == place


@pytest.mark.parametrize(
    "data",
    [
        {"into": "crm:3"},
        {"into": "crm:3", "primary": False},
        {"into": "crm:3", "primary": None},
        {"into": "crm:1", "primary": True},
        {"into": "other:3", "primary": True},
        {"into": None, "primary": True},
        {"primary": True},
        {"into": f"crm:{histories.wild(400)}", "primary": True},
    ],
)
def test_a_merge_that_makes_no_new_deal_of_the_source_hands_nothing_over(data: dict[str, Any]) -> None:
    assert handed_over(A, (9, "merged", data)) is None


def test_only_the_first_merge_of_a_deal_hands_over() -> None:
    assert handed_over(A, MERGE, (10, "merged", {"into": "crm:4", "primary": True})) == ("p", "a")


@pytest.mark.parametrize(("stage", "place"), [("b", ("p", "b")), ("won", None)])
def test_a_merge_may_say_itself_where_the_deal_was(stage: str, place: tuple[str, str] | None) -> None:
    assert handed_over(A, (9, "merged", {"into": "crm:3", "primary": True, "stage": stage})) == place


@pytest.mark.parametrize("type_", ["won", "deleted", "merged"])
def test_only_a_merge_hands_over(type_: str) -> None:
    found = fold(events_of(A, (9, type_, {"into": "crm:3", "primary": True})), RESOLVER).handover

    assert found == (Handover("crm:3", 9, "p", "a") if type_ == "merged" else None)


@pytest.mark.parametrize(
    ("own", "stays"),
    [
        ([], [("p/b", 9, None)]),
        ([(9, "created", {})], [("p/b", 9, None)]),
        ([(11, "created", {})], [("p/b", 9, None)]),
        ([(9, "created", {}), (12, "moved", {"stage": "a"})], [("p/b", 9, 12), ("p/a", 12, None)]),
        ([(9, "created", {}), (12, "won", {})], [("p/b", 9, 12)]),
        ([(12, "deleted", {}), (13, "reopened", {})], [("p/b", 9, 12), ("p/b", 13, None)]),
        # As over the API: its own history.
        ([(9, "created", {}), (9, "moved", {"pipeline": "p", "stage": "a"})], [("p/a", 9, None)]),
        ([(11, "created", {}), (11, "moved", {"pipeline": "p", "stage": "b"})], [("p/b", 9, None)]),
        # It is no new deal.
        ([(1, "created", {"pipeline": "p", "stage": "a"})], [("p/a", 1, None)]),
        ([(1, "moved", {"pipeline": "q", "stage": "c", "entered_at": 0})], [("q/c", 0, None)]),
        ([(1, "created", {"pipeline": "p", "stage": "a"}), (2, "won", {})], [("p/a", 1, 2)]),
        ([(1, "won", {})], []),
        ([(1, "merged", {"into": "crm:7"})], []),
        ([(1, "deleted", {})], []),
    ],
)
def test_a_new_deal_begins_where_the_primary_deal_was_unless_it_is_somewhere(
    own: list[Step], stays: list[tuple[str, int, int | None]]
) -> None:
    steps = [*own, (9, "moved", PLACE)]
    for order in permutations(range(len(steps))):
        # The order of ids must not matter either.
        events = events_of(*(steps[number] for number in order))
        found = visits(events, RESOLVER)
        assert [(f"{v.pipeline}/{v.stage}", v.entered, v.left) for v in found] == stays
        assert all(visit.known for visit in found)


def test_a_correction_that_names_no_place_takes_the_place_back() -> None:
    place = events_of((9, "moved", PLACE))[0]
    nothing = place._replace(data={"merged_from": "crm:1", "translation": 1})

    for events in ([place, nothing], [nothing, place]):
        assert visits(events, RESOLVER) == []
