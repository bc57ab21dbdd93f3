"""Moments for people: short in the text, exact on hover."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from services.tickets.web.times import Times, ago
from services.tickets.web.zones import reader_in

NOW = datetime(2026, 11, 25, 3, 14, tzinfo=UTC)
TIMES = Times("Europe/Berlin")


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (NOW, "today at 04:14"),
        (datetime(2026, 11, 24, 22, 59, tzinfo=UTC), "yesterday at 23:59"),
        (datetime(2026, 11, 24, 23, 0, tzinfo=UTC), "today at 00:00"),
        (NOW + timedelta(days=1), "tomorrow at 04:14"),
        (datetime(2026, 10, 26, 8, 20, tzinfo=UTC), "on 26 October at 09:20"),
        (datetime(2025, 7, 1, 8, 20, tzinfo=UTC), "on 1 July 2025 at 10:20"),
    ],
)
def test_a_moment_is_told_as_people_do(at: datetime, text: str) -> None:
    assert f">{text}</time>" in TIMES.when(at, NOW)
    assert f">{text.removeprefix('on ')}</time>" in TIMES.moment(at, NOW)
    assert f">{text.removeprefix('on ').partition(' at ')[0]}</time>" in TIMES.day(at, NOW)


@pytest.mark.parametrize(
    ("reader", "text"),
    [
        ("Pacific/Auckland", "today at 16:14"),
        ("America/Los_Angeles", "today at 19:14"),
        (None, "today at 04:14"),
        ("", "today at 04:14"),
        ("Etc/Unknown", "today at 04:14"),
        ("../../etc/passwd", "today at 04:14"),
        ("Europe/Berlin\x00", "today at 04:14"),
    ],
)
def test_all_times_of_a_page_are_in_the_readers_zone_where_it_is_one(reader: str | None, text: str) -> None:
    with reader_in(reader):
        assert f">{text}</time>" in TIMES.moment(NOW, NOW)
    assert ">today at 04:14</time>" in TIMES.moment(NOW, NOW)


def test_where_days_end_at_another_hour_a_daily_point_says_when() -> None:
    with reader_in("Pacific/Auckland"):
        assert TIMES.day_ended(datetime(2026, 11, 24, 23, 0, tzinfo=UTC)) == "until Wed 25 November, 12:00"
        assert TIMES.day_ended(NOW) == "newest count"
    with reader_in("Europe/Paris"):
        assert TIMES.day_ended(datetime(2026, 11, 24, 23, 0, tzinfo=UTC)) == "Tue 24 November"


def test_the_exact_time_stands_behind_it() -> None:
    told = TIMES.day(datetime(2026, 10, 26, 8, 20, tzinfo=UTC), NOW)

    assert 'title="Mon 26 Oct 2026, 09:20 CET"' in told
    assert 'datetime="2026-10-26T08:20:00+00:00"' in told


def test_a_daily_point_belongs_to_the_day_that_ended() -> None:
    assert TIMES.day_ended(datetime(2026, 11, 24, 23, 0, tzinfo=UTC)) == "Tue 24 November"
    assert TIMES.day_ended(NOW) == "newest count"


@pytest.mark.parametrize(
    ("age", "text"),
    [
        (timedelta(seconds=-3), "began just now"),
        (timedelta(seconds=59), "began just now"),
        (timedelta(minutes=1), "for 1 minute"),
        (timedelta(hours=3), "for 3 hours"),
        (timedelta(hours=14), "for 14 hours, since yesterday"),
        (timedelta(days=30), "for 30 days, since 26 October"),
    ],
)
def test_how_long_a_problem_lasts_and_since_when(age: timedelta, text: str) -> None:
    told = TIMES.lasting(NOW - age, NOW)

    assert re.sub("<[^>]*>", "", told) == text
    # It may break only after the comma.
    assert re.findall('<span class="whole">([^<]*)</span>', told) == ([] if "began" in text else text.split(", "))


@pytest.mark.parametrize(
    ("seconds", "text"), [(59, "less than a minute"), (60, "1 minute"), (7200, "2 hours"), (86_400 * 29.9, "29 days")]
)
def test_how_long_it_has_lasted(seconds: float, text: str) -> None:
    assert ago(NOW - timedelta(seconds=seconds), NOW) == text
