"""Business clocks by example: daylight saving both ways, half an hour of it, holidays, ages reached at an end."""

from __future__ import annotations

from datetime import datetime

import pytest

from shared.flow.calendars import BusinessClock, CalendarClock
from shared.policy.model import ClockPolicy
from shared.runtime.instants import micros

HOUR = 3_600_000_000
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


def test_the_calendar_never_stops() -> None:
    assert CalendarClock().due(utc("03-07T00:00"), 24 * HOUR) == utc("03-08T00:00")
    assert CalendarClock().age(utc("03-28T23:00"), utc("03-29T22:00")) == 23 * HOUR
