"""Business clocks by example: daylight saving both ways, half an hour of it, holidays, ages reached at an end."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.flow.calendars import BusinessClock, CalendarClock
from shared.policy.model import ClockPolicy
from shared.runtime.instants import micros
from tests.support import definition
from tests.support.compiled import runs_compiled
from tests.support.examples import examples

HOUR = 3_600_000_000
DAY = 24 * HOUR
WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WORKDAYS = WEEK[:5]


def clock(zone: str, *hours: str, days: tuple[str, ...] = WEEK, holidays: tuple[str, ...] = ()) -> BusinessClock:
    return BusinessClock(
        ClockPolicy.model_validate({"timezone": zone, "days": days, "hours": hours, "holidays": holidays})
    )


def utc(text: str) -> int:
    return micros(datetime.fromisoformat(f"2026-{text}+00:00"))


BERLIN = clock("Europe/Berlin", "00:00-24:00")
LORD_HOWE = clock("Australia/Lord_Howe", "00:00-24:00")
OFFICE = clock("UTC", "09:00-12:00", "13:00-17:00", days=WORKDAYS, holidays=("2026-03-03",))


@pytest.mark.parametrize(
    ("business", "since", "until", "hours"),
    [
        (clock("Europe/Berlin", "01:00-05:00"), "03-28T23:00", "03-29T22:00", 3),
        (clock("Europe/Berlin", "01:00-05:00"), "10-24T22:00", "10-25T23:00", 5),
        (clock("Australia/Lord_Howe", "01:00-05:00"), "04-04T13:00", "04-05T13:30", 4.5),
        (clock("Australia/Lord_Howe", "01:00-05:00"), "10-03T13:30", "10-04T13:00", 3.5),
        (BERLIN, "03-28T23:00", "03-29T22:00", 23),
        (BERLIN, "10-24T22:00", "10-25T23:00", 25),
        (OFFICE, "03-02T10:00", "03-02T14:00", 3),
        (OFFICE, "03-02T16:00", "03-04T10:00", 2),
        (OFFICE, "03-06T16:00", "03-09T10:00", 2),
        (OFFICE, "03-07T00:00", "03-08T00:00", 0),
    ],
    ids=[
        "clocks go forward",
        "clocks go back",
        "half an hour back",
        "half an hour forward",
        "a whole day of 23 hours",
        "a whole day of 25 hours",
        "lunch",
        "holiday",
        "weekend",
        "nothing of a Saturday",
    ],
)
def test_the_age_between_two_instants(business: BusinessClock, since: str, until: str, hours: float) -> None:
    assert business.age(utc(since), utc(until)) == hours * HOUR


@pytest.mark.parametrize(
    ("since", "hours", "due"),
    [
        ("03-02T09:00", 3, "03-02T12:00"),
        ("03-02T09:00", 7, "03-02T17:00"),
        ("03-02T09:00", 8, "03-04T10:00"),
        ("03-02T18:00", 0, "03-02T18:00"),
        ("03-02T18:00", 1, "03-04T10:00"),
        ("03-06T16:00", 2, "03-09T10:00"),
    ],
    ids=["at the end of a span", "at the end of a day", "after a holiday", "at once", "from the evening", "weekend"],
)
def test_an_age_is_reached(since: str, hours: int, due: str) -> None:
    assert OFFICE.due(utc(since), hours * HOUR) == utc(due)


def test_an_earlier_year_changes_no_age() -> None:
    fresh, used = clock("Europe/Berlin", "09:00-17:00"), clock("Europe/Berlin", "09:00-17:00")
    used.age(utc("03-02T00:00"), utc("03-05T00:00"))
    before = micros(datetime.fromisoformat("2019-03-02T00:00+00:00"))

    assert used.age(before, utc("03-02T00:00")) == fresh.age(before, utc("03-02T00:00"))


NEW_YEARS = [micros(datetime(year, 1, 1, tzinfo=UTC)) for year in (2024, 2025, 2026)]
_INSTANTS = st.builds(int.__add__, st.sampled_from(NEW_YEARS), st.integers(-2, 2) | st.integers(-40 * DAY, 40 * DAY))


@settings(max_examples=examples(150), deadline=None)
@given(st.sampled_from([BERLIN, OFFICE, CalendarClock()]), _INSTANTS, st.lists(_INSTANTS, min_size=2, max_size=5))
def test_the_difference_of_two_readings_is_an_age(
    one: BusinessClock | CalendarClock, origin: int, instants: list[int]
) -> None:
    reading, last = one.reading(origin), instants[-1]

    assert [reading(last) - reading(at) for at in instants] == [one.age(at, last) for at in instants]
    assert one.dues(instants, 30 * HOUR) == [one.due(at, 30 * HOUR) for at in instants]


def test_the_calendar_never_stops() -> None:
    assert CalendarClock().due(utc("03-07T00:00"), 24 * HOUR) == utc("03-08T00:00")
    assert CalendarClock().age(utc("03-28T23:00"), utc("03-29T22:00")) == 23 * HOUR


BERLIN_NIGHT = clock("Europe/Berlin", "01:00-02:30", days=("sun",))


@pytest.mark.parametrize(
    ("business", "since", "until", "hours"),
    [
        (BERLIN_NIGHT, "03-28T12:00", "03-29T12:00", 1),
        (BERLIN_NIGHT, "10-24T12:00", "10-25T12:00", 2),
        (BERLIN_NIGHT, "10-25T00:30", "10-25T01:00", 0),
        (clock("Europe/Berlin", "02:15-02:45"), "03-28T12:00", "03-29T12:00", 0),
        (clock("Europe/Berlin", "02:30-04:00"), "03-28T12:00", "03-29T12:00", 1),
        (clock("Europe/Berlin", "02:30-04:00"), "10-24T12:00", "10-25T12:00", 2),
        (clock("Europe/Berlin", "02:00-02:30", "02:30-03:00"), "10-24T12:00", "10-25T12:00", 2),
        (clock("America/New_York", "00:30-01:30", days=("sun",)), "11-01T00:00", "11-01T12:00", 1.5),
        (clock("Africa/Cairo", "00:00-24:00", days=("fri",)), "04-23T12:00", "04-24T23:00", 23),
    ],
    ids=[
        "end in the hour that is skipped",
        "end in the hour that comes twice",
        "the pause between the two",
        "lie in the hour that is skipped",
        "begin in the hour that is skipped",
        "begin in the hour that comes twice",
        "two spans in the hour that comes twice",
        "west of Greenwich",
        "a day without its midnight",
    ],
)
def test_hours_at_a_change_of_the_clocks(business: BusinessClock, since: str, until: str, hours: float) -> None:
    assert business.age(utc(since), utc(until)) == hours * HOUR


MINUTE = 60_000_000
# Where clocks were changed: by an hour, by half of it, at midnight, by a whole day, for Ramadan, against the sun.
CHANGES = [
    ("Europe/Berlin", "2026-03-28T20:00"),
    ("Europe/Berlin", "2026-10-24T20:00"),
    ("Australia/Lord_Howe", "2026-04-04T10:00"),
    ("Australia/Lord_Howe", "2026-10-03T10:00"),
    ("America/Sao_Paulo", "2018-11-03T20:00"),
    ("America/Sao_Paulo", "2018-02-17T20:00"),
    ("America/Havana", "2026-11-01T00:00"),
    ("Pacific/Apia", "2011-12-30T00:00"),
    ("Africa/Casablanca", "2026-02-14T20:00"),
    ("Europe/Dublin", "2026-10-24T20:00"),
    ("Asia/Kolkata", "2026-12-31T12:00"),
]
_MINUTE_OF_DAY = st.integers(0, 24 * 60).map(lambda m: f"{m // 60:02}:{m % 60:02}")
_DAYS = st.sets(st.sampled_from(WEEK), min_size=1).map(lambda days: tuple(sorted(days)))


@st.composite
def _hours(draw: st.DrawFn) -> list[str]:
    marks = sorted(draw(st.sets(_MINUTE_OF_DAY, min_size=2, max_size=4)))
    return [f"{begin}-{end}" for begin, end in zip(marks[::2], marks[1::2], strict=False)]


@settings(max_examples=examples(60), deadline=None)
@given(st.sampled_from(CHANGES), _hours(), _DAYS, st.integers(0, 600), st.integers(0, 400))
def test_working_time_is_every_minute_at_which_the_wall_clock_shows_it(
    change: tuple[str, str], hours: list[str], days: tuple[str, ...], begin: int, length: int
) -> None:
    zone, start = change
    business = clock(zone, *hours, days=days)
    since = micros(datetime.fromisoformat(f"{start}+00:00")) + begin * MINUTE
    working = [definition.is_working(zone, days, hours, since + n * MINUTE) for n in range(1800)]
    ends = [n + 1 for n, is_working in enumerate(working) if is_working]

    assert business.age(since, since + 1800 * MINUTE) == len(ends) * MINUTE
    if 0 < length <= len(ends):
        assert business.due(since, length * MINUTE) == since + ends[length - 1] * MINUTE


def test_a_change_in_the_last_hours_of_a_year_counts() -> None:
    """Nepal's clocks went from 00:00 to 00:15 on 1 January 1986, when it was still 1985 in UTC."""
    noon = micros(datetime.fromisoformat("1985-12-31T12:00+00:00"))

    assert clock("Asia/Kathmandu", "00:00-01:00").age(noon, noon + 24 * HOUR) == 0.75 * HOUR


class _SlowHours:
    """Hours of a policy that hold up the first thread to compute with them, on one of its days, for another thread."""

    def __init__(self, hours: Iterable[tuple[int, int]]) -> None:
        self._hours, self.days_left = list(hours), -1
        self.entered, self.go_on = threading.Event(), threading.Event()

    def __iter__(self) -> Iterator[tuple[int, int]]:
        self.days_left -= 1
        if self.days_left == 0:
            self.entered.set()
            assert self.go_on.wait(60)
        return iter(self._hours)


@pytest.mark.skipif(runs_compiled(), reason="compiled code takes the hours as a plain tuple only")
@pytest.mark.parametrize("day", [100, 300, 450])
def test_two_threads_may_use_a_new_clock_at_once(day: int) -> None:
    policy = ClockPolicy.model_validate({"timezone": "UTC", "days": WORKDAYS, "hours": ["09:00-12:00", "13:00-17:00"]})
    hours = _SlowHours(policy.hours)
    business, alone = BusinessClock(policy.model_copy(update={"hours": hours})), BusinessClock(policy)
    instants = [utc("01-01T10:00") + number * DAY for number in range(700)]
    hours.days_left = day

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(business.due, instants[150], 2000 * HOUR)
        assert hours.entered.wait(60)
        other = business.due(instants[150], 2000 * HOUR)
        hours.go_on.set()
        assert first.result() == other == alone.due(instants[150], 2000 * HOUR)

    for instant in instants:
        assert business.due(instant, 300 * HOUR) == alone.due(instant, 300 * HOUR)
        assert business.age(instant, instant + 30 * DAY) == alone.age(instant, instant + 30 * DAY)
