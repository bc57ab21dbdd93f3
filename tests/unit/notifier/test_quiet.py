"""Quiet hours and report times by the wall clock, over changes to and from daylight saving."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notifier.domain.quiet import end_of_quiet, last_report, next_time
from shared.policy import QuietHours, WeeklyReport
from shared.policy.parts import DAYS, seconds_of_day

MINUTE = timedelta(minutes=1)
# Half an hour of daylight saving; a change at midnight; one that skipped a day.
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Beirut", "Pacific/Apia", "UTC")


def quiet(begin: str, end: str, *days: str) -> QuietHours:
    return QuietHours.model_validate({"from": begin, "to": end} | ({"days": days} if days else {}))


def berlin(text: str, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Europe/Berlin"), fold=fold).astimezone(UTC)


NIGHT, WEEKEND = quiet("18:00", "08:00"), quiet("00:00", "24:00", "sat", "sun")


@pytest.mark.parametrize(
    ("hours", "at", "until"),
    [
        ([NIGHT], "2026-03-04T17:59:59", "2026-03-04T17:59:59"),
        ([NIGHT], "2026-03-04T18:00", "2026-03-05T08:00"),
        ([NIGHT], "2026-03-05T07:59", "2026-03-05T08:00"),
        ([NIGHT], "2026-03-05T08:00", "2026-03-05T08:00"),
        ([NIGHT, WEEKEND], "2026-03-06T20:00", "2026-03-09T08:00"),
        ([WEEKEND], "2026-03-06T23:59", "2026-03-06T23:59"),
        ([quiet("18:00", "08:00", "fri")], "2026-03-07T07:00", "2026-03-07T08:00"),
        ([quiet("18:00", "08:00", "fri")], "2026-03-08T07:00", "2026-03-08T07:00"),
        ([quiet("22:00", "06:00", "sun")], "2026-03-09T05:00", "2026-03-09T06:00"),
        # The night of 29 March has one hour less, that of 25 October one more.
        ([NIGHT], "2026-03-28T18:00", "2026-03-29T08:00"),
        ([NIGHT], "2026-10-24T18:00", "2026-10-25T08:00"),
        # The clock jumps from 2:00 to 3:00: quiet hours until 2:30 end then.
        ([quiet("01:00", "02:30")], "2026-03-29T01:30", "2026-03-29T03:00"),
        # They begin in the skipped hour: from 3:00 on.
        ([quiet("02:30", "03:30")], "2026-03-29T01:59", "2026-03-29T01:59"),
        ([quiet("02:30", "03:30")], "2026-03-29T03:00", "2026-03-29T03:30"),
    ],
)
def test_quiet_hours_end_by_the_wall_clock(hours: list[QuietHours], at: str, until: str) -> None:
    assert end_of_quiet(hours, "Europe/Berlin", berlin(at)) == berlin(until)


def test_an_hour_that_comes_twice_is_quiet_twice() -> None:
    hours = [quiet("02:10", "02:20")]

    for fold in (0, 1):
        assert end_of_quiet(hours, "Europe/Berlin", berlin("2026-10-25T02:15", fold)) == berlin(
            "2026-10-25T02:20", fold
        )


def is_quiet(hours: list[QuietHours], zone: str, instant: datetime) -> bool:
    """The definition: what the wall clock shows lies in a span."""
    local = instant.astimezone(ZoneInfo(zone))
    of_week = local.weekday() * 86_400 + local.hour * 3600 + local.minute * 60 + local.second
    return any(begin <= at < end for one in hours for begin, end in one.spans for at in (of_week, of_week + 7 * 86_400))


times = st.integers(0, 47).map(lambda halves: f"{halves // 2:02}:{halves % 2 * 30:02}")
spans = st.builds(quiet, times, times, st.sampled_from(DAYS[:5]), st.just("sun")).map(
    lambda one: one.model_copy(update={"days": tuple(set(one.days))})
)
near_changes = st.sampled_from(
    ["2026-03-29", "2026-10-25", "2026-03-08", "2026-11-01", "2026-04-05", "2011-12-30", "2026-06-01"]
)


@given(
    hours=st.lists(spans, max_size=2),
    zone=st.sampled_from(ZONES),
    day=near_changes,
    minutes=st.integers(-2 * 1440, 2 * 1440),
)
def test_the_end_is_the_first_instant_that_is_not_quiet(
    hours: list[QuietHours], zone: str, day: str, minutes: int
) -> None:
    instant = datetime.fromisoformat(day).replace(tzinfo=UTC) + minutes * MINUTE

    end = end_of_quiet(hours, zone, instant)

    assert not is_quiet(hours, zone, end)
    while instant < end:
        assert is_quiet(hours, zone, instant)
        instant += 15 * MINUTE


@pytest.mark.parametrize(
    ("day", "at", "now", "last"),
    [
        ("mon", "08:00", "2026-03-09T08:00", "2026-03-09T08:00"),
        ("mon", "08:00", "2026-03-09T07:59", "2026-03-02T08:00"),
        ("sun", "08:00", "2026-03-30T09:00", "2026-03-29T08:00"),
        ("sun", "02:30", "2026-03-29T03:00", "2026-03-29T03:00"),
        ("sun", "02:30", "2026-03-29T01:59", "2026-03-22T02:30"),
        ("sun", "02:30", "2026-10-25T12:00", "2026-10-25T02:30"),
    ],
)
def test_the_weekly_report_goes_out_by_the_wall_clock(day: str, at: str, now: str, last: str) -> None:
    report = WeeklyReport.model_validate({"day": day, "at": at})

    assert last_report(report, "Europe/Berlin", berlin(now)) == berlin(last)


@pytest.mark.parametrize(
    ("at", "now", "found"),
    [
        ("08:00", "2026-03-28T08:00", "2026-03-28T08:00"),
        ("08:00", "2026-03-28T08:01", "2026-03-29T08:00"),
        ("02:30", "2026-03-28T12:00", "2026-03-29T03:00"),
        ("02:30", "2026-10-24T12:00", "2026-10-25T02:30"),
        ("00:00", "2026-10-25T00:00", "2026-10-25T00:00"),
    ],
)
def test_the_next_morning_is_one_by_the_wall_clock(at: str, now: str, found: str) -> None:
    assert next_time(seconds_of_day(at), "Europe/Berlin", berlin(now)) == berlin(found)


@given(
    day=st.sampled_from(DAYS),
    at=times,
    zone=st.sampled_from(ZONES),
    near=near_changes,
    minutes=st.integers(-9000, 9000),
)
def test_reports_are_a_week_apart(day: str, at: str, zone: str, near: str, minutes: int) -> None:
    report = WeeklyReport.model_validate({"day": day, "at": at})
    now = datetime.fromisoformat(near).replace(tzinfo=UTC) + minutes * MINUTE

    last = last_report(report, zone, now)
    before = last_report(report, zone, last - timedelta(seconds=1))

    assert now - timedelta(days=8) <= last <= now
    assert timedelta(days=5) <= last - before <= timedelta(days=9)
