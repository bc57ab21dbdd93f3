"""The sum over a pipeline's rules promises nothing of those that have no price."""

from __future__ import annotations

import pytest

from shared.wording.prices import sum_sentences

SEVEN = ["a", "b", "c", "d", "e", "f", "g"]


@pytest.mark.parametrize(
    ("openings", "unpriced", "text"),
    [
        ("1.4", [], "chance alone opens at most 1.4 tickets a quarter; you accept 2."),
        ("1", [], "chance alone opens at most 1 ticket a quarter; you accept 2."),
        (
            "0.5",
            ["a", "b"],
            "there is too little history (less than 180 days) to price a; b."
            " Of the other rules, chance alone opens at most 0.5 tickets a quarter; you accept 2.",
        ),
        (
            None,
            SEVEN,
            "there is too little history (less than 180 days) to say how often chance alone opens a ticket."
            " No price is known of a; b; c; d; e and 2 more.",
        ),
    ],
)
def test_the_sum(openings: str | None, unpriced: list[str], text: str) -> None:
    assert sum_sentences(openings, "; you accept 2", unpriced) == text
