"""What the rules of a pipeline cost together, in tickets that chance alone opens."""

from __future__ import annotations

from collections.abc import Sequence

# Of rules without a price, how many are named.
_NAMED = 5


def sum_sentences(openings: str | None, verdict: str, unpriced: Sequence[str]) -> str:
    """`openings`: a quarter, by the rules that have a price; None: none has, so that no sum would be true.

    `verdict`: what follows the sum. `unpriced`: names of the rules that the history is too short for.
    """
    if openings is None:
        return (
            "there is too little history (less than 180 days) to say how often chance alone opens a ticket."
            f" No price is known of {_names(unpriced)}."
        )
    tickets = "ticket" if openings == "1" else "tickets"
    text = f"chance alone opens at most {openings} {tickets} a quarter{verdict}."
    if not unpriced:
        return text
    # First what is missing: the sum alone reads as a promise for all rules.
    return f"there is too little history (less than 180 days) to price {_names(unpriced)}. Of the other rules, {text}"


def _names(unpriced: Sequence[str]) -> str:
    more = len(unpriced) - _NAMED
    return "; ".join(unpriced[:_NAMED]) + (f" and {more} more" if more > 0 else "")
