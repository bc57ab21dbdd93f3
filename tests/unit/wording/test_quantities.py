"""Counts, lengths and dates in words."""

from __future__ import annotations

import pytest

from shared.wording.quantities import keep_together


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
