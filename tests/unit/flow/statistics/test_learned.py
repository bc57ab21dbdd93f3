"""Learned limits and counts against their definition: for each week only the events before it are folded."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from fractions import Fraction
from functools import cache
from itertools import pairwise
from random import Random
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.contracts.events import EventType
from shared.flow.calendars import AgeClock, AgeClocks
from shared.flow.fold import fold
from shared.flow.stage_map import StageMap
from shared.flow.stage_resolver import StageResolver
from shared.flow.statistics.crossings import DAY
from shared.flow.statistics.learned_limits import (
    LearnedLimit,
    NotLearned,
    StageHistory,
    learn,
    learned_limit,
    relearning_instants,
    window_of,
)
from shared.flow.statistics.weeks import Weeks
from shared.flow.visits import Event, EventKey, Visit
from shared.policy import parse
from shared.runtime.instants import micros
from tests.support.examples import examples
from tests.support.histories import two_pipelines

HOUR, START = DAY // 24, micros(datetime(2025, 1, 1, 9, tzinfo=UTC))
STAGE = ("p", "a")
OFFICE = {"timezone": "UTC", "days": ["mon", "tue", "wed", "thu", "fri"], "hours": ["09:00-12:00", "13:00-17:00"]}


def policy(clock: str) -> Any:
    text = two_pipelines([]) | {"clocks": {"office": OFFICE}}
    text["pipelines"]["p"]["clock"] = clock
    return parse(json.dumps(text))


def deal(chance: Random, number: int) -> list[Event]:
    """First seen somehow, then moved to and fro by whole hours, sometimes to where it was all along."""
    now = START + chance.randrange(500 * 24) * HOUR
    first: dict[str, Any] = {"stage": "a"} | ({"pipeline": "p"} if chance.random() < 0.8 else {})
    kind = EventType.CREATED if chance.random() < 0.7 else EventType.MOVED
    if kind is EventType.MOVED and chance.random() < 0.6:
        first["entered_at"] = now - chance.randrange(300 * 24) * HOUR
    found = [Event(f"crm:{number}", EventKey(now, kind.rank, f"{number}-0"), first)]
    for step in range(1, chance.randrange(5)):
        now += chance.randrange(1, 60 * 24) * HOUR
        told = chance.choice([{"stage": "b"}, {"stage": "a"}, {"stage": "won"}, {"pipeline": "p"}, {"pipeline": "q"}])
        kind = EventType.MOVED if "stage" in told else EventType.CHANGED
        found.append(Event(f"crm:{number}", EventKey(now, kind.rank, f"{number}-{step}"), told))
    return found


class Expected(NamedTuple):
    learned: LearnedLimit
    mean: Fraction | None = None
    variance: Fraction | None = None
    reached: int = 0
    busy_rises: int = 0
    busy_time: int = 0


def by_definition(visits: list[Visit], clock: AgeClock, first: int, at: int) -> Expected:
    """`visits`: of events before `at` only."""
    recent = [v for v in visits if v.known and at - 180 * DAY <= v.entered < at]
    finished = [clock.age(v.entered, v.left) for v in recent if v.left is not None]
    ages = [clock.age(v.entered, at) for v in recent if v.left is None]
    limit = quantile(finished, ages) if len(finished) >= 30 else None
    learned = LearnedLimit(len(finished), len(ages), limit)
    if limit is None:
        return Expected(learned)
    begin = at - min(365 * DAY, at - first)
    spans = [(clock.due(v.entered, limit), at if v.left is None else v.left) for v in visits]
    spans = [(start, end) for start, end in spans if start < end and start < at and end > begin]
    return Expected(learned, *moments(spans, begin, at))


def quantile(finished: list[int], ages: list[int]) -> int | None:
    share = Fraction(1)
    for end in sorted(set(finished)):
        at_risk = sum(one >= end for one in finished + ages)
        share *= Fraction(at_risk - finished.count(end), at_risk)
        if share <= Fraction(3, 20):
            return end
    return None


def moments(spans: list[tuple[int, int]], begin: int, end: int) -> tuple[Fraction, Fraction, int, int, int]:
    """From pairs of neighbouring instants at which anything changes."""
    marks = sorted({begin, end, *(mark for span in spans for mark in span if begin < mark < end)})
    pieces = [(b - a, sum(s <= a < e for s, e in spans)) for a, b in pairwise(marks)]
    mean = Fraction(sum(length * level for length, level in pieces), end - begin)
    squares = Fraction(sum(length * level**2 for length, level in pieces), end - begin)
    reached = [start for start, _ in spans if begin <= start < end]
    busy = [start for start in reached if start > begin and any(s < start <= e for s, e in spans)]
    return mean, squares - mean**2, len(reached), len(busy), sum(length for length, level in pieces if level)


@settings(max_examples=examples(30), deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["calendar", "office"]))
def test_every_week_knows_what_events_before_it_tell(seed: int, clock: str) -> None:
    chance, rules = Random(seed), policy(clock)
    deals = [deal(chance, number) for number in range(chance.choice([60, 120, 200]))]
    resolver, own = StageResolver(rules, StageMap()), AgeClocks(rules).of(*STAGE)
    states = [fold(events, resolver) for events in deals]
    visits = [v for state in states for v in state.visits if (v.pipeline, v.stage) == STAGE]
    withdrawn = [w for state in states for w in state.withdrawn if (w.visit.pipeline, w.visit.stage) == STAGE]
    first = min(event.key.time for events in deals for event in events)
    instants = [at for at in relearning_instants(Weeks(first, "UTC"), START + 600 * DAY) if chance.random() < 0.2]

    @cache
    def own_visits(number: int, told: int) -> list[Visit]:
        """Those in the stage that the first events of a deal make."""
        return [v for v in fold(deals[number][:told], resolver).visits if (v.pipeline, v.stage) == STAGE]

    for found in learn(StageHistory(visits, withdrawn, own), first, instants, Fraction(1, 10)):
        if found.why is NotLearned.LOG_TOO_SHORT:
            assert found.since - first < 180 * DAY
            continue
        known = (own_visits(n, sum(e.key.time < found.since for e in events)) for n, events in enumerate(deals))
        here = [visit for some in known for visit in some]
        expected = by_definition(here, own, first, found.since)
        assert found.learned == expected.learned
        assert (found.crossings is None) == (expected.mean is None) == (found.why is not None)
        if found.crossings is not None:
            seen = found.crossings
            assert Expected(expected.learned, *seen[:5]) == expected


def history(*lengths: int | None, known: bool = True) -> StageHistory:
    """One visit an hour from the start on, of these lengths in hours."""
    visits = [
        Visit("p", "a", START + n * HOUR, known, None if length is None else START + (n + length) * HOUR)
        for n, length in enumerate(lengths)
    ]
    return StageHistory(visits, [], AgeClocks(policy("calendar")).of(*STAGE))


AT = START + 180 * DAY


def only(found: StageHistory, at: int = AT) -> Any:
    return learn(found, START, [at], Fraction(1, 10))[0]


def test_a_log_of_180_days_is_long_enough() -> None:
    assert only(history(*[5] * 40)).limit == 5 * HOUR
    assert only(history(*[5] * 40), AT - 1).why is NotLearned.LOG_TOO_SHORT
    assert window_of(START, AT) == 180 * DAY
    assert window_of(START, START + 900 * DAY) == 365 * DAY


def test_30_finished_visits_are_enough() -> None:
    assert only(history(*[5] * 30, None)).why is None
    few = only(history(*[5] * 29, None))
    assert (few.why, few.limit, few.count) == (NotLearned.NOT_ENOUGH_DATA, None, None)
    assert few.fields()["finished"] == 29


def test_where_too_many_stay_there_is_no_limit() -> None:
    found = only(history(*[5] * 40, *[None] * 20))

    assert (found.why, found.learned) == (NotLearned.NO_LIMIT, LearnedLimit(40, 20, None))
    assert found.fields() == {
        "from": "2025-06-30T09:00:00.000000Z",
        "limit_s": None,
        "count": None,
        "finished": 40,
        "open": 20,
        "why": "no-limit",
    }


def test_visits_whose_entry_is_a_guess_are_left_out_of_limits() -> None:
    assert only(history(*[5] * 40, known=False)).why is NotLearned.NOT_ENOUGH_DATA


def test_a_visit_entered_180_days_before_counts_and_an_earlier_one_does_not() -> None:
    assert only(history(*[5] * 30)).learned == LearnedLimit(30, 0, 5 * HOUR)
    assert only(history(*[5] * 30), AT + 1).learned == LearnedLimit(29, 0, None)


def test_a_limit_as_of_an_instant_knows_what_happens_at_it() -> None:
    clock = AgeClocks(policy("calendar")).of(*STAGE)
    visits = [Visit("p", "a", START, True, START + HOUR)] * 30

    assert learned_limit(visits, clock, START + HOUR) == LearnedLimit(30, 0, HOUR)


@pytest.mark.parametrize(("first", "expected"), [("2025-01-06T00:00", 6), ("2025-01-06T00:01", 13)])
def test_the_first_week_learned_begins_at_or_after_the_first_event(first: str, expected: int) -> None:
    instant = micros(datetime.fromisoformat(f"{first}+00:00"))

    assert relearning_instants(Weeks(instant, "UTC"), instant + 30 * DAY)[0] == micros(
        datetime(2025, 1, expected, tzinfo=UTC)
    )


def test_a_week_that_begins_at_the_instant_is_learned() -> None:
    monday = micros(datetime(2025, 1, 13, tzinfo=UTC))

    assert relearning_instants(Weeks(START, "UTC"), monday)[-1] == monday
    assert len(relearning_instants(Weeks(START, "UTC"), monday - 1)) == 1
