"""Where a deal is after events that name pipeline and stage together or apart, and after it was gone. By example."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shared.contracts.events import EventType
from shared.flow.fold import fold, visits
from shared.flow.packed_states import pack, unpack
from shared.flow.stage_map import StageMap
from shared.flow.stage_resolver import StageResolver
from shared.flow.visits import DealState, Event, EventKey
from shared.policy import parse
from tests.support import histories

# p: a, b, won; q: a, c, and b means lost there.
RESOLVER = StageResolver(parse(json.dumps(histories.two_pipelines([]))), StageMap())
Step = tuple[str, dict[str, Any]]
A = ("created", {"pipeline": "p", "stage": "a"})
STAGES: list[tuple[str, list[Step], list[tuple[str, int, int | None]]]] = [
    ("pipeline alone", [A, ("changed", {"pipeline": "q"})], [("p/a", 0, 1), ("q/a", 1, None)]),
    (
        "pipeline alone, lost there",
        [("created", {"pipeline": "p", "stage": "b"}), ("moved", {"pipeline": "q"})],
        [("p/b", 0, 1)],
    ),
    ("the same pipeline again", [A, ("changed", {"pipeline": "p"})], [("p/a", 0, None)]),
    ("pipeline and stage", [A, ("moved", {"pipeline": "q", "stage": "c"})], [("p/a", 0, 1), ("q/c", 1, None)]),
    (
        "stage of the new pipeline first",
        [A, ("moved", {"stage": "c"}), ("changed", {"pipeline": "q"})],
        [("p/a", 0, 1), ("q/c", 1, None)],
    ),
    (
        "the same, with the stage again",
        [A, ("moved", {"stage": "c"}), ("moved", {"pipeline": "q", "stage": "c"})],
        [("p/a", 0, 1), ("q/c", 1, None)],
    ),
    (
        "pipeline first, stage of it later",
        [A, ("changed", {"pipeline": "q"}), ("moved", {"stage": "c"})],
        [("p/a", 0, 1), ("q/a", 1, 2), ("q/c", 2, None)],
    ),
    ("no pipeline was known", [("created", {"stage": "c"}), ("changed", {"pipeline": "p"})], [("p/c", 0, None)]),
    (
        "no pipeline was known, the stage is of one only",
        [("created", {"stage": "c"}), ("moved", {"pipeline": "p", "stage": "b"})],
        [("q/c", 0, 1), ("p/b", 1, None)],
    ),
    (
        "no pipeline was known, the stage is of both",
        [("created", {"stage": "a"}), ("moved", {"pipeline": "p", "stage": "b"})],
        [("p/a", 0, 1), ("p/b", 1, None)],
    ),
    (
        "the stage turns out to be lost",
        [A, ("changed", {"pipeline": "x"}), ("moved", {"stage": "b"}), ("changed", {"pipeline": "q"})],
        [("p/a", 0, 1), ("x/a", 1, 2)],
    ),
    (
        "it turns out lost and is reopened",
        [A, ("moved", {"pipeline": "x", "stage": "b"}), ("changed", {"pipeline": "q"}), ("reopened", {})],
        [("p/a", 0, 1), ("p/a", 3, None)],
    ),
    ("null takes the pipeline back", [A, ("changed", {"pipeline": None})], [("p/a", 0, 1), ("/a", 1, None)]),
    (
        "null, then another",
        [A, ("changed", {"pipeline": None}), ("changed", {"pipeline": "q"})],
        [("p/a", 0, 1), ("q/a", 1, None)],
    ),
    ("pipeline while closed", [A, ("won", {}), ("changed", {"pipeline": "q"})], [("p/a", 0, 1)]),
    (
        "pipeline while closed, reopened",
        [A, ("won", {}), ("changed", {"pipeline": "q"}), ("reopened", {})],
        [("p/a", 0, 1), ("q/a", 3, None)],
    ),
    (
        "won names another pipeline's stage",
        [A, ("won", {"pipeline": "q", "stage": "c"}), ("reopened", {})],
        [("p/a", 0, 1), ("q/c", 2, None)],
    ),
    (
        "won names a stage that nobody knows",
        [A, ("won", {"stage": "signed"}), ("reopened", {})],
        [("p/a", 0, 1), ("p/a", 2, None)],
    ),
    (
        "any type may name a stage",
        [A, ("changed", {"stage": "b"}), ("touched", {"stage": "a"})],
        [("p/a", 0, 1), ("p/b", 1, 2), ("p/a", 2, None)],
    ),
    ("deleted and back", [A, ("deleted", {}), ("reopened", {})], [("p/a", 0, 1), ("p/a", 2, None)]),
    ("back elsewhere", [A, ("deleted", {}), ("reopened", {"stage": "b"})], [("p/a", 0, 1), ("p/b", 2, None)]),
    (
        "back in another pipeline",
        [A, ("deleted", {}), ("reopened", {"pipeline": "q"})],
        [("p/a", 0, 1), ("q/a", 2, None)],
    ),
    ("deleted twice", [A, ("deleted", {}), ("deleted", {}), ("reopened", {})], [("p/a", 0, 1), ("p/a", 3, None)]),
    (
        "the pipeline while gone",
        [A, ("deleted", {}), ("changed", {"pipeline": "q"}), ("reopened", {})],
        [("p/a", 0, 1), ("p/a", 3, None)],
    ),
    ("won, deleted and back: still won", [A, ("won", {}), ("deleted", {}), ("reopened", {})], [("p/a", 0, 1)]),
    (
        "won, deleted, back and reopened",
        [A, ("won", {}), ("deleted", {}), ("reopened", {}), ("reopened", {})],
        [("p/a", 0, 1), ("p/a", 4, None)],
    ),
    ("won while gone", [A, ("deleted", {}), ("won", {}), ("reopened", {})], [("p/a", 0, 1), ("p/a", 3, None)]),
    (
        "merged while gone does not count",
        [A, ("deleted", {}), ("merged", {}), ("reopened", {})],
        [("p/a", 0, 1), ("p/a", 3, None)],
    ),
    ("merged, then deleted and reopened", [A, ("merged", {}), ("deleted", {}), ("reopened", {})], [("p/a", 0, 1)]),
]


def events_of(steps: list[Step]) -> list[Event]:
    ranks = {kind.removeprefix("andon.deal."): kind.rank for kind in EventType}
    return [Event("crm:1", EventKey(time, ranks[kind], str(time)), data) for time, (kind, data) in enumerate(steps)]


@pytest.mark.parametrize(("steps", "stays"), [case[1:] for case in STAGES], ids=[case[0] for case in STAGES])
def test_where_a_deal_is(steps: list[Step], stays: list[tuple[str, int, int | None]]) -> None:
    events = events_of(steps)

    assert [(f"{v.pipeline}/{v.stage}", v.entered, v.left) for v in visits(events, RESOLVER)] == stays
    assert all(visit.known for visit in visits(events, RESOLVER))


@pytest.mark.parametrize(
    ("steps", "known"),
    [
        ([("moved", {"pipeline": "p", "stage": "a"})], False),
        ([("changed", {"pipeline": "p", "stage": "a"})], False),
        ([("moved", {"pipeline": "p", "stage": "a", "entered_at": 0})], True),
        ([("created", {}), ("moved", {"pipeline": "p", "stage": "a"})], True),
        ([("won", {}), ("moved", {"pipeline": "p", "stage": "a"})], True),
        ([("moved", {"pipeline": "p", "stage": "won"}), ("moved", {"stage": "a"})], True),
        ([("deleted", {}), ("reopened", {"pipeline": "p", "stage": "a"})], True),
    ],
)
def test_whether_the_entry_is_known(steps: list[Step], known: bool) -> None:
    assert [visit.known for visit in visits(events_of(steps), RESOLVER)] == [known]


def test_a_plan_from_before_a_closing_does_not_outlive_a_later_one() -> None:
    steps: list[Step] = [
        ("changed", {"next_step_at": 50}),
        ("lost", {}),
        ("changed", {"next_step_at": 60}),
        ("moved", {"pipeline": "p", "stage": "a"}),
    ]
    state = DealState()
    state.apply(events_of(steps), RESOLVER)

    assert state.current is not None
    assert state.current.steps == [(3, 60)]


_OPEN_AGAIN: list[Step] = [("reopened", {}), ("reopened", {"stage": "b"}), ("moved", {"stage": "b"})]


@pytest.mark.parametrize("again", [[step] for step in _OPEN_AGAIN] + [_OPEN_AGAIN, [("reopened", {}), _OPEN_AGAIN[2]]])
@pytest.mark.parametrize("placed", [{"pipeline": "p", "stage": "a"}, {}])
@pytest.mark.parametrize(("later", "closings"), [(0, 1), (1, 2)])
def test_a_reopening_of_no_length_makes_no_second_closing(
    again: list[Step], placed: dict[str, str], later: int, closings: int
) -> None:
    ranks = {kind.removeprefix("andon.deal."): kind.rank for kind in EventType}
    steps = [(0, "created", placed), (5, "lost", {}), *((9, *step) for step in again), (9 + later, "won", {})]
    events = [Event("crm:1", EventKey(at, ranks[kind], str(n)), data) for n, (at, kind, data) in enumerate(steps)]
    found = fold(events, RESOLVER).closings

    assert [(one.time, one.won) for one in found] == [(5, False), (10, True)][:closings]


def test_an_instant_of_reopening_is_kept_with_the_state() -> None:
    state = DealState()
    state.apply(events_of([("lost", {}), ("reopened", {"pipeline": "p", "stage": "a"})]), RESOLVER)
    again = unpack(pack(state))
    again.apply([Event("crm:1", EventKey(1, EventType.WON.rank, "w"), {})], RESOLVER)

    assert (again.reopened_at, again.closings, again.closed) == (1, [], True)
