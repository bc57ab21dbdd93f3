"""The weekly measures against their definition, asked deal by deal and week by week; and on whole logs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from fractions import Fraction
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.contracts.events import DealEvent
from shared.flow.events import event_of
from shared.flow.fold import fold, unique
from shared.flow.packed_states import pack, unpack
from shared.flow.stage_map import StageMap
from shared.flow.stage_resolver import StageResolver
from shared.flow.statistics.columns import Chart, Column, Value
from shared.flow.statistics.measures import WeeklyMeasures, facts_of, weekly_measures
from shared.flow.statistics.weeks import Days, Periods, Weeks
from shared.flow.visits import DealState
from shared.policy import Policy, parse
from shared.runtime.instants import micros
from tests.support import definition, histories
from tests.support.examples import examples
from tests.support.histories import END, at

SECOND = 1_000_000
LENGTH = 10
ZONE = ZoneInfo("UTC")
ORDER = {"p": ["a", "b"], "q": ["a", "c"]}
POLICY = parse(json.dumps(histories.two_pipelines([])))


class Tens(Periods):
    """Periods of ten seconds, so that a small history has some."""

    days = 1

    def start(self, period: int) -> int:
        return micros(at(period * LENGTH))

    def over(self, instant: int) -> int:
        return (instant - micros(at(0))) // (LENGTH * SECOND)


def measured(events: Sequence[DealEvent], policy: Policy, weeks: Periods, until: datetime) -> WeeklyMeasures:
    """What the product measures in the events up to an instant."""
    resolver, deals = StageResolver(policy, StageMap()), dict[str, list[DealEvent]]()
    for event in events:
        if event.time <= until:
            deals.setdefault(event.subject, []).append(event)
    facts = []
    for some in deals.values():
        history = unique(map(event_of, some))
        state = DealState()
        state.apply(history, resolver)
        facts.append(facts_of(state, history, ZoneInfo(policy.timezone)))
    return weekly_measures(facts, policy, weeks, micros(until))


class Told(NamedTuple):
    """One deal as the definition sees it: its life, and the told close dates as (second, date or None), in order."""

    life: definition.Life
    closes: list[tuple[int, date | None]]

    def close_at(self, t: int) -> date | None:
        """The expected close at t: told before it."""
        before = [day for second, day in self.closes if second < t]
        return before[-1] if before else None

    def open_before(self, t: int) -> definition.Stay | None:
        open_stays = [s for s in self.life.stays if s.entered < t and (s.left is None or s.left >= t)]
        return open_stays[0] if open_stays else None

    def pushed(self, begin: int, end: int) -> bool:
        then, now = self.close_at(begin), self.close_at(end)
        if then is None:
            then = next((day for second, day in self.closes if begin <= second < end and day), None)
        return then is not None and now is not None and now > then

    def is_rework(self, stay: definition.Stay) -> bool:
        order = ORDER[stay.pipeline]
        earlier = [
            order.index(other.stage)
            for other in self.life.stays[: self.life.stays.index(stay)]
            if other.pipeline == stay.pipeline and other.stage in order
        ]
        return any(place > order.index(stay.stage) for place in earlier)


def told(events: Sequence[DealEvent]) -> Iterator[Told]:
    for deal, life in definition.lives(events).items():
        mine = sorted((e for e in events if e.subject == deal), key=lambda e: (e.time, e.type.rank, e.id))
        closes = [
            (definition.second(e.time), e.data.expected_close)
            for e in mine
            if "expected_close" in e.data.model_fields_set
        ]
        yield Told(life, [(second, DATES[text]) for second, text in closes if text not in NO_DATES])


def quantile(values: Sequence[int], share: Fraction) -> Fraction | None:
    """Linear between ranks."""
    if not values:
        return None
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def stage_values(deals: Sequence[Told], pipeline: str, stage: str, begin: int, end: int) -> dict[Column, Any]:
    stays = [(d, s) for d in deals for s in d.life.stays if (s.pipeline, s.stage) == (pipeline, stage)]
    entered = [(d, s) for d, s in stays if begin <= s.entered < end]
    left = [s for _, s in stays if s.left is not None and begin <= s.left < end]
    times = [(s.left or 0) - s.entered for s in left if s.known]
    still = [s for _, s in stays if s.entered < end and (s.left is None or s.left >= end)]
    rework = sum(d.is_rework(s) for d, s in entered)
    return {
        Column.ARRIVALS: len(entered),
        Column.DEPARTURES: len(left),
        Column.WIP_END: len(still),
        Column.TIME_IN_STAGE_MEDIAN: quantile(times, Fraction(1, 2)),
        Column.TIME_IN_STAGE_P85: quantile(times, Fraction(85, 100)),
        Column.REWORK: rework,
        Column.REWORK_RATE: Fraction(rework, len(entered)) if entered else None,
        Column.OPEN_AGE_MEAN: Fraction(sum(end - s.entered for s in still), len(still)) if still else 0,
    }


def pipeline_values(deals: Sequence[Told], pipeline: str, begin: int, end: int) -> dict[Column, Any]:
    ends = [e for d in deals for e in d.life.ends if e.pipeline == pipeline and begin <= e.at < end]
    won, times = sum(e.won for e in ends), [e.at - e.created for e in ends if e.created is not None]
    dated = []
    for deal in deals:
        stay = deal.open_before(end)
        known = stay is not None and stay.pipeline == pipeline and stay.stage in ORDER[pipeline]
        if known and deal.close_at(end) is not None:
            dated.append(deal)
    pushed = sum(deal.pushed(begin, end) for deal in dated)
    return {
        Column.THROUGHPUT: len(ends),
        Column.WON: won,
        Column.LOST: len(ends) - won,
        Column.WIN_RATE: Fraction(won, len(ends)) if ends else None,
        Column.LEAD_TIME_MEDIAN: quantile(times, Fraction(1, 2)),
        Column.LEAD_TIME_P85: quantile(times, Fraction(85, 100)),
        Column.PUSHED: pushed,
        Column.OPEN_WITH_CLOSE: len(dated),
        Column.PUSHED_SHARE: Fraction(pushed, len(dated)) if dated else None,
    }


def defined(events: Sequence[DealEvent], until: int) -> dict[Chart, list[Any]]:
    """The measures by their definition, of the events up to a second."""
    deals = list(told([event for event in events if event.time <= at(until)]))
    found: dict[Chart, list[Any]] = {}
    for begin in range(0, until - LENGTH + 1, LENGTH):
        for pipeline, stages in ORDER.items():
            values = {("", c): v for c, v in pipeline_values(deals, pipeline, begin, begin + LENGTH).items()}
            for stage in stages:
                of_stage = stage_values(deals, pipeline, stage, begin, begin + LENGTH)
                values |= {(stage, c): v for c, v in of_stage.items()}
            for (stage, column), value in values.items():
                found.setdefault(Chart(pipeline, stage, column), []).append(value)
    return found


def in_units(column: Column, value: Value | None) -> Value | None:
    """As the definition says it: shares as they are, times in seconds."""
    return None if value is None else Fraction(value, column.scale)


DATES = {
    "2026-03-09": date(2026, 3, 9),
    "2026-03-10": date(2026, 3, 10),
    "2026-03-10T23:30:00+01:00": date(2026, 3, 10),
    "2026-03-10T23:30:00-01:00": date(2026, 3, 11),
    None: None,
}
NO_DATES = ("soon", "2026-02-30", "2026-03-10T09:00:00", "20260310", "", "3/10/2026 !")


@st.composite
def with_closes(draw: st.DrawFn, of: st.SearchStrategy[list[DealEvent]]) -> list[DealEvent]:
    """Events of which about half tell an expected close, also what is no date."""
    texts = st.sampled_from([*DATES, *DATES, *NO_DATES])
    return [_dated(event, draw(texts)) if draw(st.booleans()) else event for event in draw(of)]


def _dated(event: DealEvent, text: str | None) -> DealEvent:
    body = event.model_dump(exclude_unset=True)
    return DealEvent.model_validate(body | {"data": body["data"] | {"expected_close": text}})


@settings(max_examples=examples(150), deadline=None)
@given(with_closes(histories.events(ends=True) | histories.wandering()), st.integers(0, END + 10))
def test_measures_are_those_of_the_definition(events: list[DealEvent], until: int) -> None:
    found = measured(events, POLICY, Tens(micros(at(0)), "UTC"), at(until))

    # An instant on the second: its events are known.
    expected = defined(events, until) or {chart: [] for chart in found.values}
    assert {chart: [in_units(chart.column, v) for v in values] for chart, values in found.values.items()} == expected


@settings(max_examples=examples(80), deadline=None)
@given(with_closes(histories.wandering()), st.randoms(use_true_random=False))
def test_order_and_repetition_change_no_measure(events: list[DealEvent], chance: Any) -> None:
    mixed = events + chance.sample(events, len(events) // 2)
    chance.shuffle(mixed)
    weeks = Tens(micros(at(0)), "UTC")

    assert measured(mixed, POLICY, weeks, at(END)).values == measured(events, POLICY, weeks, at(END)).values


@settings(max_examples=examples(80), deadline=None)
@given(histories.events(ends=True) | histories.wandering(), st.data())
def test_closings_go_on_from_a_packed_state(events: list[DealEvent], data: Any) -> None:
    resolver = StageResolver(POLICY, StageMap())
    mine = unique(event_of(event) for event in events if event.subject == "crm:0")
    cut = data.draw(st.integers(0, len(mine)))
    first = DealState()
    first.apply(mine[:cut], resolver)
    second = unpack(pack(first))
    second.apply(mine[cut:], resolver)

    assert first.closings + second.closings == fold(mine, resolver).closings


def history(*events: tuple[str, str, dict[str, Any]]) -> list[DealEvent]:
    """Events of one deal: (type, time, data)."""
    return [
        DealEvent.model_validate(
            {
                "id": str(n),
                "source": "crm",
                "type": f"andon.deal.{kind}",
                "subject": "crm:1",
                "time": time,
                "data": data,
            }
        )
        for n, (kind, time, data) in enumerate(events)
    ]


def office() -> Policy:
    """Stage a on a business clock."""
    text = histories.two_pipelines([])
    text["clocks"] = {"office": {"timezone": "Europe/Berlin", "days": ["mon", "tue", "fri"], "hours": ["09:00-17:00"]}}
    text["timezone"] = "Europe/Berlin"
    text["pipelines"]["p"]["stages"][0]["clock"] = "office"
    return parse(json.dumps(text))


def test_ages_are_those_of_the_stages_clock() -> None:
    events = history(
        ("created", "2026-03-23T09:00:00+01:00", {"pipeline": "p", "stage": "a"}),
        ("moved", "2026-03-31T10:00:00+02:00", {"pipeline": "p", "stage": "b"}),
    )
    found = measured(
        events,
        office(),
        Weeks(micros(events[0].time), "Europe/Berlin"),
        datetime.fromisoformat("2026-04-06T00:00:00+02:00"),
    )

    # Three days of eight hours by the end of the week in which the clocks go forward; a day and an hour after it.
    assert found.values[Chart("p", "a", Column.OPEN_AGE_MEAN)] == [24 * 3600 * SECOND, 0]
    assert found.values[Chart("p", "a", Column.TIME_IN_STAGE_MEDIAN)] == [None, 2 * 33 * 3600 * SECOND]


@pytest.mark.parametrize(("until", "over"), [("2026-03-08T23:59:59.999999Z", 0), ("2026-03-09T00:00:00Z", 1)])
def test_a_week_has_values_once_it_is_over(until: str, over: int) -> None:
    events = history(("created", "2026-03-05T09:00:00Z", {"pipeline": "p", "stage": "a"}))

    found = measured(events, POLICY, Weeks(micros(events[0].time), "UTC"), datetime.fromisoformat(until))

    assert {len(values) for values in found.values.values()} == {over}


def test_what_happens_at_a_weeks_end_belongs_to_the_next() -> None:
    events = history(
        ("created", "2026-03-09T00:00:00Z", {"pipeline": "p", "stage": "a", "expected_close": "2026-04-01"}),
        ("moved", "2026-03-16T00:00:00Z", {"pipeline": "p", "stage": "b", "expected_close": "2026-05-01"}),
        ("won", "2026-03-23T00:00:00Z", {"pipeline": "p"}),
    )
    found = measured(events, POLICY, Weeks(micros(at(0)), "UTC"), datetime.fromisoformat("2026-03-30T00:00:00Z"))

    def values(stage: str, column: Column) -> list[Value | None]:
        return found.values[Chart("p", stage, column)]

    assert values("a", Column.WIP_END) == [0, 1, 0, 0]
    assert values("a", Column.DEPARTURES) == [0, 0, 1, 0]
    assert values("b", Column.WIP_END) == [0, 0, 1, 0]
    assert values("", Column.WON) == [0, 0, 0, 1]
    assert values("", Column.OPEN_WITH_CLOSE) == [0, 1, 1, 0]
    assert values("", Column.PUSHED) == [0, 0, 1, 0]


def test_measures_of_days() -> None:
    events = history(
        ("created", "2026-03-28T23:30:00Z", {"pipeline": "p", "stage": "a"}),
        ("moved", "2026-03-30T05:00:00Z", {"pipeline": "p", "stage": "b"}),
    )
    days = Days(micros(events[0].time), "Europe/Berlin")

    found = measured(events, POLICY, days, datetime.fromisoformat("2026-03-31T00:00:00Z"))

    # The 29th, of 23 hours, begins before the deal; the 30th is over at 22:00 in UTC.
    assert [days.name(day) for day in range(2)] == ["2026-03-29", "2026-03-30"]
    assert found.values[Chart("p", "a", Column.WIP_END)] == [1, 0]
    assert found.values[Chart("p", "a", Column.DEPARTURES)] == [0, 1]
    assert found.values[Chart("p", "a", Column.OPEN_AGE_MEAN)] == [(22 * 60 + 30 - 0) * 60 * SECOND, 0]


WIN, LOSE, BACK = ("won", {"pipeline": "p"}), ("lost", {"pipeline": "p"}), ("reopened", {})
GO_WON, DELETE = ("moved", {"stage": "won"}), ("deleted", {})


@pytest.mark.parametrize(
    ("steps", "closings"),
    [
        ([LOSE, WIN], [False]),
        ([GO_WON, WIN], [True]),
        ([WIN, GO_WON], [True]),
        ([LOSE, BACK, WIN], [False, True]),
        ([LOSE, ("moved", {"stage": "a"}), LOSE], [False, False]),
        # Restored from the bin, it is as closed as before.
        ([LOSE, DELETE, BACK, WIN], [False]),
        ([DELETE, WIN], []),
        ([DELETE, BACK, WIN], [True]),
        ([("merged", {}), WIN], []),
        # A reopening into a won stage is none.
        ([LOSE, ("reopened", {"stage": "won"})], [False]),
    ],
)
def test_what_a_closing_is(steps: list[tuple[str, dict[str, Any]]], closings: list[bool]) -> None:
    begun = ("created", "2026-03-02T09:00:00Z", {"pipeline": "p", "stage": "a"})
    events = history(begun, *((kind, f"2026-03-02T10:{n:02}:00Z", fields) for n, (kind, fields) in enumerate(steps)))

    state = fold(map(event_of, events), StageResolver(POLICY, StageMap()))

    assert [closing.won for closing in state.closings] == closings
    assert {(one.pipeline, one.created) for one in state.closings} <= {("p", micros(events[0].time))}


def test_a_deal_first_seen_closed_is_a_closing_without_a_lead_time() -> None:
    state = fold(
        map(event_of, history(("lost", "2026-03-02T09:00:00Z", {"pipeline": "p"}))), StageResolver(POLICY, StageMap())
    )

    assert [(one.pipeline, one.won, one.created) for one in state.closings] == [("p", False, None)]


def test_a_stage_that_turns_out_won_was_won_from_the_beginning() -> None:
    events = history(
        ("created", "2026-03-02T09:00:00Z", {}),
        ("moved", "2026-03-02T10:00:00Z", {"stage": "b"}),
        ("changed", "2026-03-02T11:00:00Z", {"pipeline": "q"}),
    )
    state = fold(map(event_of, events), StageResolver(POLICY, StageMap()))

    assert [(one.pipeline, one.time, one.won) for one in state.closings] == [("q", micros(events[1].time), False)]
    assert state.visits == []
