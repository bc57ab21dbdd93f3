"""Moments for people: short in the text, exact on hover."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.tickets.web.times import Times, ago

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


def test_what_belongs_to_the_policys_zone_is_not_turned_into_the_readers() -> None:
    at = datetime(2026, 12, 8, 7, tzinfo=UTC)

    for told, text in (
        (TIMES.moment_in_policy_zone(at, NOW), "8 December at 08:00"),
        (TIMES.day_in_policy_zone(at, NOW), "8 December"),
    ):
        assert f">{text}</time>" in told
        assert "data-form" not in told


def test_the_exact_time_stands_behind_it() -> None:
    told = TIMES.day(datetime(2026, 10, 26, 8, 20, tzinfo=UTC), NOW)

    assert 'title="Mon 26 Oct 2026, 09:20 CET"' in told
    assert 'datetime="2026-10-26T08:20:00+00:00"' in told


def test_a_daily_point_belongs_to_the_day_that_ended() -> None:
    assert TIMES.day_ended(datetime(2026, 11, 24, 23, 0, tzinfo=UTC)) == "Tue 24 November"
    assert TIMES.day_ended(NOW) == "newest count"


@pytest.mark.parametrize(
    ("seconds", "text"), [(59, "less than a minute"), (60, "1 minute"), (7200, "2 hours"), (86_400 * 29.9, "29 days")]
)
def test_how_long_it_has_lasted(seconds: float, text: str) -> None:
    assert ago(NOW - timedelta(seconds=seconds), NOW) == text
