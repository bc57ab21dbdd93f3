"""Silence of sources against its definition, around changes of the clock and days off, and on whole logs."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from fractions import Fraction
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.flow.statistics.questions.fields import QuestionError
from shared.flow.statistics.questions.silence import answer
from shared.flow.statistics.silence import ReceiptLog, SourceSilence, silence
from shared.flow.statistics.wall_hours import HOUR, OFF, WallHours
from shared.flow.statistics.weeks import Weeks
from shared.runtime.instants import micros
from tests.support.examples import examples
from tests.support.outside import data
from tests.support.printed_log import LOGS, PrintedLog
from tests.support.silence_definition import NaiveSource
from tests.support.variation_cases import SeriesCase, cases, same

CASES = cases("silence")
DAY = 24 * HOUR
TENTH = Fraction(1, 10)
# Hours lost and repeated at night, half an hour of them, offsets of half and three quarters of an hour, midnight lost.
ZONES = [
    ("Europe/Berlin", date(2026, 1, 12)),
    ("Europe/Berlin", date(2026, 8, 17)),
    ("Australia/Lord_Howe", date(2026, 2, 2)),
    ("Asia/Kolkata", date(2026, 1, 12)),
    ("Asia/Kathmandu", date(2026, 1, 12)),
    ("America/Sao_Paulo", date(2018, 8, 27)),
    ("UTC", date(2026, 1, 12)),
]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_silence_case(case: SeriesCase) -> None:
    assert same(answer(case.question), case.expected), case.why


def test_every_silence_case_is_read() -> None:
    assert len(CASES) == 15


def at(text: str, zone: str = "UTC") -> int:
    return micros(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)))


def found(receipts: list[int], as_of: int, zone: str = "UTC", *days_off: date) -> SourceSilence:
    return silence(receipts, WallHours(Weeks(receipts[0], zone), days_off), TENTH, as_of)


class SourceLife:
    """What a source does: its zone, and when it sends."""

    def __init__(self, seed: int, weekly: int, office: bool, heap: int) -> None:
        self.random, self.weekly, self.office, self.heap = Random(seed), weekly, office, heap
        self.zone, self.first = self.random.choice(ZONES)
        days = [self.first + timedelta(days=number) for number in range(90)]
        self.holidays = self.random.sample(days, self.random.choice([0, 3, 10, 40]))

    def receipts(self) -> list[int]:
        start, length = at(str(self.first), self.zone) + self.random.randrange(6 * DAY), 12 * 7 * DAY
        times = [start + self.random.randrange(length) for _ in range(12 * self.weekly)]
        if self.office:
            times = [time for time in times if 7 <= time // HOUR % 24 < 18]
        begin, end = sorted(start + self.random.randrange(length) for _ in range(2))
        quiet = range(begin, min(end, begin + self.random.choice([0, DAY, 9 * DAY])))
        kept = [time for time in times if time not in quiet] or [start]
        return sorted(time + extra * self.random.randrange(HOUR) for time in kept for extra in range(self.heap))


@given(st.integers(0, 10**6), st.sampled_from([1, 5, 20, 60]), st.booleans(), st.sampled_from([1, 1, 3]))
@settings(max_examples=examples(40))
def test_silence_is_what_its_definition_says(seed: int, weekly: int, office: bool, heap: int) -> None:
    life = SourceLife(seed, weekly, office, heap)
    receipts = life.receipts()
    as_of = receipts[-1] + life.random.choice([0, HOUR, 3 * DAY, 20 * DAY])
    defined = NaiveSource(receipts, life.zone, life.holidays, 0.5, as_of)

    source = silence(receipts, WallHours(Weeks(receipts[0], life.zone), life.holidays), Fraction(1, 2), as_of)

    assert [tuple(interval) for interval in source.intervals] == defined.intervals()
    table = defined.table(defined.monday(as_of))
    assert source.need == (table and pytest.approx(table.need, rel=1e-9))


@given(st.integers(0, 10**6), st.integers(-3, 3))
@settings(max_examples=examples(20))
@example(0, 0)
def test_an_opening_stands_from_its_second_on(seed: int, shift: int) -> None:
    life = SourceLife(seed, 40, office=False, heap=1)
    receipts = life.receipts()
    later = found(receipts, receipts[-1] + 30 * DAY, life.zone, *life.holidays).intervals
    if later and later[-1].cleared_at is None:
        opened = later[-1].opened_at
        for as_of in (opened - 1, opened, opened + 1):
            now = found(receipts, as_of, life.zone, *life.holidays).intervals
            assert [one[0] for one in now] == [one[0] for one in later if one.opened_at <= as_of]
        answered = found([*receipts, opened + shift], opened + 10, life.zone, *life.holidays).intervals
        assert (opened in [one.opened_at for one in answered]) == (shift > 0)


def every_day_at(first: str, weeks: int, *times: str) -> Iterator[int]:
    for number in range(7 * weeks):
        day = date.fromisoformat(first) + timedelta(days=number)
        yield from (at(f"{day}T{time}") for time in times)


def test_the_first_table_needs_eight_full_weeks() -> None:
    # The first receipt lies exactly on the beginning of a week, which is not full all the same.
    receipts = list(every_day_at("2026-01-05", 8, "10:00", "11:00"))

    assert found(receipts, at("2026-03-08T23:59:59.999999")).need is None
    assert found(receipts, at("2026-03-09T00:00")).need is not None
    # Judged with the table of the week of the last receipt: there was none.
    assert found(receipts, at("2026-04-01T00:00")).intervals == []


def test_a_gap_keeps_the_table_of_its_first_receipt() -> None:
    receipts = list(every_day_at("2026-01-05", 10, "10:00", "11:00"))

    (one,) = found(receipts, at("2027-01-01T00:00")).intervals

    # Two a day for each day until then, although nothing has come for months.
    assert one.peak == 2 * (date(2027, 1, 1) - date(2026, 3, 16)).days + 1
    assert found(receipts, at("2027-01-01T00:00")).need is None


def test_days_off_pass_without_expecting_anything() -> None:
    receipts = list(every_day_at("2026-01-05", 10, "10:00", "11:00"))
    off = [date(2026, 3, 16) + timedelta(days=number) for number in range(100)]

    (one,) = found(receipts, at("2027-01-01T00:00")).intervals
    (later,) = found(receipts, at("2027-01-01T00:00"), "UTC", *off).intervals

    assert later.opened_at - one.opened_at == 100 * DAY


def test_all_days_off_teach_nothing() -> None:
    receipts = list(every_day_at("2026-01-05", 10, "10:00", "11:00"))
    off = [date(2026, 1, 5) + timedelta(days=number) for number in range(100)]

    assert found(receipts, at("2026-03-20T00:00"), "UTC", *off) == SourceSilence([], None)


def test_a_need_reached_as_an_hour_ends_does_not_wait_for_the_next_day() -> None:
    # One a day at nine. Of weeks 1 to 8 one is off and two are missing: 5/7 are expected a day.
    start = at("2026-01-05T09:00")
    receipts = [start + day * DAY for day in range(64) if day // 7 not in (4, 6)]
    off = [date(2026, 1, 19) + timedelta(days=number) for number in range(7)]

    hours = WallHours(Weeks(start, "UTC"), off)
    judged = silence(receipts, hours, Fraction(10), receipts[-1] + 30 * DAY)

    # 1.25 times the gap of eight days: ten days are over when the tenth hour is.
    assert silence(receipts, hours, Fraction(10), receipts[-1]).need == pytest.approx(1.25 * 8 * 5 / 7)
    assert [one.opened_at for one in judged.intervals] == [receipts[-1] + 9 * DAY + HOUR]


def test_without_a_receipt_nothing_is_judged() -> None:
    hours = WallHours(Weeks(at("2026-01-05T00:00"), "UTC"), ())

    assert silence([], hours, TENTH, at("2026-01-05T00:00")) == SourceSilence([], None)


def test_of_an_event_that_came_twice_the_first_line_counts() -> None:
    log = ReceiptLog()
    log.add("aab", "121", [30, 20, 5])
    log.add(["a"], ["1"], [10])

    assert {source: list(receipts) for source, receipts in log.by_source().items()} == {"a": [20, 30], "b": [5]}


@pytest.mark.parametrize(
    ("zone", "day", "lengths"),
    [
        ("Europe/Berlin", "2026-03-29", {2: 0}),
        ("Europe/Berlin", "2026-10-25", {2: 2 * HOUR}),
        ("Australia/Lord_Howe", "2026-10-04", {2: HOUR // 2}),
        ("Australia/Lord_Howe", "2026-04-05", {1: HOUR * 3 // 2}),
        ("America/Sao_Paulo", "2018-11-04", {0: 0}),
        ("Asia/Kathmandu", "2026-03-29", {}),
    ],
)
def test_cells_of_a_day_are_hours_of_the_wall_clock(zone: str, day: str, lengths: dict[int, int]) -> None:
    hours = WallHours(Weeks(at(day, zone), zone), ())
    noon = at(f"{day}T12:00", zone)
    weekday = date.fromisoformat(day).weekday()

    seen = dict.fromkeys(range(24), 0)
    for start, end, cell in hours.between(noon - DAY, noon + DAY):
        if cell // 24 == weekday:
            seen[cell % 24] += end - start

    assert seen == {hour: lengths.get(hour, HOUR) for hour in range(24)}


def test_days_off_are_one_cell() -> None:
    hours = WallHours(Weeks(at("2026-03-02T00:00"), "UTC"), [date(2026, 3, 4)])

    off = [
        (start, end)
        for start, end, cell in hours.between(at("2026-03-02T00:00"), at("2026-03-09T00:00"))
        if cell == OFF
    ]

    assert (off[0][0], off[-1][1], len(off)) == (at("2026-03-04T00:00"), at("2026-03-05T00:00"), 24)
    assert hours.working(0) == [True, True, False, True, True, True, True]


@pytest.mark.slow
@pytest.mark.parametrize("name", LOGS)
def test_silence_of_the_sources_of_a_log(name: str) -> None:
    log, told = PrintedLog(name), ReceiptLog()
    with gzip.open(data(name.split("/")[0]) / "events.jsonl.gz") as lines:
        for event in map(json.loads, lines):
            receipt = event.get("receivedat") or event["time"]
            told.add([event["source"]], [event["id"]], [micros(datetime.fromisoformat(receipt))])
    problems, as_of = log.expected("problems"), micros(datetime.fromisoformat(log.expected("problems")["as_of"]))
    hours = WallHours(log.weeks, [day for clock in log.policy.clocks.values() for day in clock.holidays])

    for source, receipts in told.by_source().items():
        if rule := log.policy.silence_rule(source):
            judged = silence([one for one in receipts if one <= as_of], hours, rule.budget, as_of)
            expected = problems["problems"][f"silence/{source}"]
            assert [list(interval) for interval in judged.intervals] == [
                [_instant(one["opened_at"]), _instant(one["cleared_at"]), one["peak"]] for one in expected
            ]


def _instant(text: str | None) -> int | None:
    return None if text is None else micros(datetime.fromisoformat(text))


QUESTION: dict[str, Any] = {"ask": "silence", "receipts": ["2026-01-05T08:00:00Z"], "as_of": "2026-03-06T12:00:00Z"}


def test_a_series_of_receipts_is_written_short() -> None:
    series = {**QUESTION, "receipts": [["2026-01-05T08:00:00Z", Fraction("0.5"), 3]]}
    listed = ["2026-01-05T08:00:00Z", "2026-01-05T08:00:00.5Z", "2026-01-05T09:00:01+01:00"]

    assert answer(series) == answer({**QUESTION, "receipts": listed}) == {"intervals": [], "need": None}


def test_receipts_after_the_instant_are_not_known_yet() -> None:
    assert answer({**QUESTION, "receipts": ["2026-03-06T12:00:00.000001Z"]}) == {"intervals": [], "need": None}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"receipts": None}, "receipts: is missing"),
        ({"receipts": ["2026-01-05"]}, r"receipts\[0\]: .*offset"),
        ({"receipts": [5]}, r"receipts\[0\]: 5"),
        ({"receipts": ["2026-01-05T08:00:00Z", ["2026-01-05T08:00:00Z", 2]]}, r"receipts\[1\]"),
        ({"receipts": [["2026-01-05T08:00:00Z", -2, 3]]}, r"receipts\[0\].*step"),
        ({"receipts": [["2026-01-05T08:00:00Z", Fraction(1, 3), 3]]}, r"receipts\[0\].*whole microseconds"),
        ({"receipts": [["2026-01-05T08:00:00Z", 2, 0]]}, r"receipts\[0\].*number of 1"),
        ({"receipts": [["2026-01-05T08:00:00Z", 2, True]]}, r"receipts\[0\]"),
        ({"receipts": [["2026-01-05T08:00:00Z", 0, 10**9]]}, "receipts: more than 5000000"),
        ({"receipts": [["2026-01-05T08:00:00Z", 10**12, 10]]}, r"receipts\[0\].*year 9999"),
        ({"as_of": None}, "as_of: is missing"),
        ({"as_of": "2026-03-06T12:00:00"}, "as_of: .*offset"),
        ({"as_of": "9999-03-06T12:00:00Z"}, "as_of: .*1970 to 9998"),
        ({"timezone": "Europe/Bonn"}, "timezone: .*Europe/Bonn"),
        ({"timezone": "../UTC"}, "timezone"),
        ({"holidays": ["20260105"]}, r"holidays\[0\]"),
        ({"holidays": ["2026-02-30"]}, r"holidays\[0\]: .*2026-02-30"),
        ({"budget": 0}, "budget: 0"),
        ({"source": "a"}, "source: no such field"),
    ],
)
def test_what_cannot_be_answered_names_the_field(change: dict[str, Any], says: str) -> None:
    with pytest.raises(QuestionError, match=says):
        answer({**QUESTION, **change})
