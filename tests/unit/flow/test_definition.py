"""The core against the definition at every instant of small random histories, and against itself in parts."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.contracts.events import DealEvent
from shared.flow.events import event_of
from shared.flow.fold import visits
from shared.flow.intervals import RuleState, advance, intervals
from shared.flow.packed_states import pack, unpack
from shared.flow.ruleset import Ruleset
from shared.flow.stage_map import StageMap
from shared.flow.stage_resolver import StageResolver
from shared.flow.visits import DealState
from shared.flow.what_if import find
from shared.policy import parse
from shared.runtime.instants import micros
from tests.support import definition, histories
from tests.support.boundaries import boundaries
from tests.support.examples import examples
from tests.support.histories import END, START, at

SECOND = 1_000_000
ZERO = micros(START)


def found(events: list[DealEvent], written: list[dict[str, Any]]) -> dict[str, list[tuple[int, int | None, int]]]:
    """What the core finds, in seconds."""
    policy = parse(json.dumps(histories.two_pipelines(written)))
    result = find([event_of(event) for event in events], policy, micros(at(END))).problems
    return {
        key: [(seconds(i.opened_at) or 0, seconds(i.cleared_at), i.peak) for i in some] for key, some in result.items()
    }


def seconds(instant: int | None) -> int | None:
    return None if instant is None else (instant - ZERO) // SECOND


@settings(max_examples=examples(200), deadline=None)
@given(histories.events(ends=True) | histories.wandering(), histories.rules())
def test_the_core_finds_what_the_definition_gives(events: list[DealEvent], written: list[dict[str, Any]]) -> None:
    p, q = (definition.problems(events, written, END, pipeline) for pipeline in "pq")

    assert found(events, written) == p | q


@settings(max_examples=examples(400), deadline=None)
@given(histories.wandering())
def test_visits_are_the_stays_of_the_definition(events: list[DealEvent]) -> None:
    resolver = StageResolver(parse(json.dumps(histories.two_pipelines([]))), StageMap())

    for deal, life in definition.lives(events).items():
        stays = [
            (v.pipeline, v.stage, seconds(v.entered), seconds(v.left), v.known)
            for v in visits([event_of(event) for event in events if event.subject == deal], resolver)
        ]
        assert stays == [(s.pipeline, s.stage, s.entered, s.left, s.known) for s in life.stays]


@settings(max_examples=examples(200), deadline=None)
@given(histories.events(ends=True) | histories.wandering(), histories.rules(), st.randoms(use_true_random=False))
def test_order_and_repetition_change_nothing(
    events: list[DealEvent], written: list[dict[str, Any]], chance: Any
) -> None:
    mixed = events + chance.sample(events, len(events) // 2)
    chance.shuffle(mixed)

    assert found(mixed, written) == found(events, written)


@settings(max_examples=examples(120), deadline=None)
@given(histories.events(ends=True) | histories.wandering(), st.data())
def test_going_on_from_a_packed_state_is_the_same_as_beginning_anew(events: list[DealEvent], data: Any) -> None:
    resolver = StageResolver(parse(json.dumps(histories.two_pipelines([]))), StageMap())
    mine = sorted((event_of(e) for e in events if e.subject == "crm:0"), key=lambda e: e.key)
    cut = data.draw(st.integers(0, len(mine)))
    first = DealState()
    first.apply(mine[:cut], resolver)
    done = list(first.finished)
    second = unpack(pack(first))
    second.apply(mine[cut:], resolver)

    # A visit that later news cut to no length was still open in the first part.
    together = done + second.finished + ([second.current] if second.current is not None else [])
    assert [(v.stage, v.entered, v.left, v.known) for v in together] == [
        (v.stage, v.entered, v.left, v.known) for v in visits(mine, resolver)
    ]


@settings(max_examples=examples(120), deadline=None)
@given(histories.events(), histories.rules(), st.lists(st.integers(0, END), max_size=6))
def test_time_may_go_on_in_any_steps(events: list[DealEvent], written: list[dict[str, Any]], stops: list[int]) -> None:
    policy = parse(json.dumps(histories.policy_text(written)))
    resolver = StageResolver(policy, StageMap())
    stays = [
        v for deal in range(4) for v in visits([event_of(e) for e in events if e.subject == f"crm:{deal}"], resolver)
    ]
    for rule in Ruleset(policy).rules:
        spans = [span for visit in stays if visit.stage == "a" for span in rule.spans(visit)]
        marks = sorted(b for b in boundaries(spans) if b[0] <= micros(at(END)))
        whole, told = advance(rule, RuleState(), marks, micros(at(END)))
        here, parts, taken = RuleState(), [], 0
        for stop in [*sorted(micros(at(s)) for s in stops), micros(at(END))]:
            upto = sum(1 for instant, _ in marks if instant <= stop)
            # A state is a value: it may be packed, and gone on from twice.
            here = RuleState.unpack(here.pack())
            advance(rule, here, marks[taken:upto], stop)
            here, some = advance(rule, here, marks[taken:upto], stop)
            parts += some
            taken = upto
        assert (here, parts) == (whole, told)
        assert intervals(here, parts) == intervals(whole, told)
