"""Bottlenecks against their definition, pair by pair, and on whole logs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.contracts.problems import BottleneckLabel
from shared.flow.statistics.bottleneck import (
    BottleneckInterval,
    Inflow,
    LittlesLaw,
    StageCharts,
    bottleneck_intervals,
    bottleneck_looks,
)
from shared.flow.statistics.columns import Chart, Column, Point
from shared.flow.statistics.questions.bottleneck import answer
from shared.flow.statistics.questions.fields import QuestionError
from shared.flow.statistics.ranks import critical, memory, stretch
from shared.flow.statistics.segments import Segment, segments
from shared.runtime.instants import micros
from tests.support.examples import examples
from tests.support.printed_log import LOGS, PrintedLog
from tests.support.variation_cases import SeriesCase, cases, same

CASES = cases("bottleneck")
COLUMNS = (Column.ARRIVALS, Column.DEPARTURES, Column.WIP_END, Column.OPEN_AGE_MEAN)
QUESTION: dict[str, Any] = {
    "ask": "bottleneck",
    "arrivals": [20, 19, 21] * 7 + [30] * 12,
    "departures": [20, 19, 21] * 7 + [20] * 12,
    "wip": [5, 6, 4] * 7 + [10 * week for week in range(1, 13)],
    "age": [3, 2, Fraction(5, 2)] * 7 + [4 * week for week in range(1, 13)],
    "next_wip": None,
}


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_bottleneck_case(case: SeriesCase) -> None:
    found = answer(case.question)

    assert same(found["weeks"], case.expected["weeks"]), case.why
    assert same(found["intervals"], case.expected["intervals"]), case.why


def test_every_bottleneck_case_is_read() -> None:
    assert len(CASES) == 9


Series = Mapping[str, Sequence[int]]


def fires(values: Sequence[int], week: int, bad: int, level: Fraction) -> bool:
    """The window of 8 that ends with this week; bad: 1 for high, -1 for low."""
    baseline, recent = values[:20], values[week - 7 : week + 1]
    if week < 27:
        return False
    u = sum(1.0 if bad * late > bad * early else 0.5 if late == early else 0.0 for late in recent for early in baseline)
    least = critical(20, 8, level)
    assert least is not None
    return u - 80 >= min(stretch(memory(baseline), 20, 8) * (least - 80), 0.475 * 160) - 1e-9


def by_definition(series: Series) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for week in range(27, len(series["wip"])):
        last = slice(week - 12, week + 1)
        net = sum(series["arrivals"][last]) - sum(series["departures"][last])
        volume = sum(series["arrivals"][last]) + sum(series["departures"][last])
        high = fires(series["wip"], week, 1, Fraction(1, 100))
        if found and found[-1]["cleared"] is None:
            if high:
                found[-1]["peak"] = max(found[-1]["peak"], series["wip"][week])
            else:
                found[-1]["cleared"] = week
        elif high and fires(series["age"], week, 1, Fraction(1, 100)) and net > 0 and net * net > volume:
            less = fires(series["departures"], week, -1, Fraction(5, 100))
            more = fires(series["arrivals"], week, 1, Fraction(5, 100))
            label = {(True, False): "capacity", (False, True): "demand"}.get((less, more), "unclear")
            starved = fires(series["next_wip"], week, -1, Fraction(5, 100))
            found.append(
                {"opened": week, "cleared": None, "peak": series["wip"][week], "label": label}
                | {"next_starved": starved, "net": net, "volume": volume}
            )
    return found


@st.composite
def queues(draw: st.DrawFn) -> Series:
    """A stage that may get more or do less from week 20 on, and again from week 40 on."""
    random = draw(st.randoms(use_true_random=False))
    phases = [(draw(st.integers(0, 8)), draw(st.integers(0, 8)), draw(st.integers(0, 8))) for _ in range(3)]
    series: dict[str, list[int]] = {name: [] for name in ("arrivals", "departures", "wip", "age", "next_wip")}
    waiting = 0
    for week in range(60):
        more, less, starved = phases[week // 20] if week >= 20 else (4, 4, 4)
        arrivals = random.randrange(4) + more
        departures = min(random.randrange(4) + less, waiting + arrivals)
        waiting += arrivals - departures
        values = (arrivals, departures, waiting, waiting + random.randrange(3), random.randrange(4) + starved)
        for column, value in zip(series.values(), values, strict=True):
            column.append(value)
    return series


@given(queues())
@settings(max_examples=examples(60))
def test_a_bottleneck_is_what_its_definition_says(series: Series) -> None:
    assert answer({"ask": "bottleneck", **series})["intervals"] == by_definition(series)


def charts(question: Mapping[str, Any], cuts: Mapping[Column, Mapping[int | None, int]]) -> StageCharts:
    names = dict(zip(COLUMNS, ("arrivals", "departures", "wip", "age"), strict=True))
    points = {c: [Point(week, value) for week, value in enumerate(question[name])] for c, name in names.items()}
    return StageCharts(
        {column: segments(found, cuts.get(column, {}), len(found)) for column, found in points.items()}, None
    )


def test_an_opening_says_why_and_how_far_it_drifted() -> None:
    (found,) = bottleneck_intervals(charts(QUESTION, {}))

    assert found == BottleneckInterval(
        27, None, 120, BottleneckLabel.DEMAND, None, Inflow(70, 590), LittlesLaw(66 / 330, 25.5 / 28)
    )
    assert not found.little.holds


def test_a_relock_of_wip_clears_it_at_the_first_week_of_the_new_baseline() -> None:
    found = bottleneck_intervals(charts(QUESTION, {Column.WIP_END: {30: 12}}))

    assert [(one.opened, one.cleared, one.peak) for one in found] == [(27, 30, 90)]


def test_weeks_of_a_baseline_are_not_asked() -> None:
    looks = bottleneck_looks(charts(QUESTION, {Column.WIP_END: {None: 12, 30: 12}}))

    assert [look.week for look in looks] == list(range(19, 30))


def test_a_piece_that_cannot_be_asked_is_false() -> None:
    relocked = charts(QUESTION, {Column.OPEN_AGE_MEAN: {25: 12}})

    assert [tuple(look) for look in bottleneck_looks(relocked)] == [(week, True, False, True) for week in range(27, 33)]
    assert bottleneck_intervals(relocked) == []


@pytest.mark.parametrize(
    ("little", "holds"),
    [
        (LittlesLaw(0.09, 0.09), True),
        (LittlesLaw(0.1, 0.09), False),
        (LittlesLaw(0.09, 0.1), False),
        (LittlesLaw(None, 0.0), False),
        (LittlesLaw(0.0, None), False),
    ],
)
def test_littles_law_holds_without_drift(little: LittlesLaw, holds: bool) -> None:
    assert little.holds == holds


def test_without_work_there_is_no_drift_to_tell() -> None:
    empty = StageCharts({column: [Segment([Point(week, 0) for week in range(14)])] for column in COLUMNS}, None)

    assert empty.little(13) == LittlesLaw(None, None)
    assert empty.little(12) == LittlesLaw(None, None)


class PrintedStage:
    """A stage of a whole log, as the rule sees it."""

    def __init__(self, log: PrintedLog, key: str) -> None:
        self._log, (pipeline, stage) = log, key.split("/")
        following = list(log.policy.pipelines[pipeline].open_stages)
        after = following[following.index(stage) + 1 :]
        self.charts = StageCharts(
            {column: self._segments(pipeline, stage, column) for column in COLUMNS},
            self._segments(pipeline, after[0], Column.WIP_END) if after else None,
        )

    def looks(self) -> list[list[Any]]:
        return [[self._log.weeks.name(look.week), *look[1:]] for look in bottleneck_looks(self.charts)]

    def intervals(self) -> list[dict[str, Any]]:
        return [
            {
                "opened_at": self._log.weeks.end(one.opened),
                "cleared_at": one.cleared and self._log.weeks.end(one.cleared),
                "peak": one.peak,
                "label": one.label.value,
                "next_starved": one.next_starved,
                "little": {**one.little._asdict(), "holds": one.little.holds},
            }
            for one in bottleneck_intervals(self.charts)
        ]

    def _segments(self, pipeline: str, stage: str, column: Column) -> Sequence[Segment]:
        return self._log.segments(Chart(pipeline, stage, column), self._log.judged)


@pytest.mark.slow
@pytest.mark.parametrize("name", LOGS)
def test_bottlenecks_of_a_log(name: str) -> None:
    log = PrintedLog(name)
    problems = log.expected("problems")["problems"]
    stages = log.expected("bottlenecks")

    for key, looks in stages.items():
        stage = PrintedStage(log, key)
        assert stage.looks() == looks, key
        found = problems[f"bottleneck/{key}"]
        expected = [{**one, **{at: _instant(one[at]) for at in ("opened_at", "cleared_at")}} for one in found]
        for one in expected:
            del one["cause"]
        assert same(stage.intervals(), expected), key
    assert bool(stages) == (name == "shop")


def _instant(text: str | None) -> int | None:
    return None if text is None else micros(datetime.fromisoformat(text))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"arrivals": None}, "arrivals: is missing"),
        ({"wip": [1, 2]}, r"wip: .*write 33 values"),
        ({"next_wip": [1, 2]}, r"next_wip: .*write 33 values"),
        ({"next_wip": []}, r"next_wip: .*write 33 values"),
        ({"age": ["x"]}, r"age\[0\]"),
        ({"age": [None] * 33}, r"age\[0\]"),
        ({"departures": [-1] * 33}, r"departures\[0\]"),
        ({"wip": [Fraction(1, 2)] * 33}, r"wip\[0\]"),
        ({"level": 1}, "level: no such field"),
    ],
)
def test_what_cannot_be_answered_names_the_field(change: dict[str, Any], says: str) -> None:
    with pytest.raises(QuestionError, match=says):
        answer({**QUESTION, **change})
