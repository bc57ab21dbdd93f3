"""Counts, lengths and dates in words."""

from __future__ import annotations

import pytest

from shared.wording.quantities import keep_together, week, week_begin, weeks_between


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("12 deals are in Demo for more than 21 days.", "12_deals are in Demo for more than 21_days."),
        ("1 deal, 3 working days, 5 hours", "1_deal, 3_working days, 5_hours"),
        ("since 26 October at 09:20, 40 % of 46 deals", "since 26_October at 09:20, 40_% of 46_deals"),
        ("9 daytime calls, 2 Decembers, 4 of 5", "9 daytime calls, 2 Decembers, 4 of 5"),
        ("", ""),
    ],
)
def test_a_number_stays_with_what_it_counts(text: str, kept: str) -> None:
    assert keep_together(text) == kept.replace("_", "\u00a0")


def test_a_week_is_named_by_the_day_it_begins() -> None:
    assert week("2026-W47") == "the week of 16 November"
    assert week_begin("2026-W01") == "29 December 2025"
    assert weeks_between("2026-W10", "2026-W13") == "2 Mar to\n23 Mar 2026"
    assert weeks_between("2025-W51", "2026-W02") == "15 Dec 2025 to\n5 Jan 2026"


def test_what_is_usual_stays_with_its_number() -> None:
    assert keep_together("12 deals, usually 3, have") == "12\u00a0deals, usually\u00a03, have"
