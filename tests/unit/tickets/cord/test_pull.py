"""The form of a pull: its fields, their bounds, and what each refusal says."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.tickets.cord.pull import MAX_DEAL, MAX_SEEN, Pull, read_pull, words_of
from services.tickets.domain.faults import NotPossibleError

# In Berlin it is the next day already.
NOW = datetime(2026, 11, 2, 23, 30, tzinfo=UTC)


def read(**fields: str) -> Pull:
    return read_pull(fields, NOW, "Europe/Berlin")


def test_one_sentence_is_enough() -> None:
    assert read(seen=" Approvals take a week. ") == Pull("Approvals take a week.")


def test_a_day_and_a_deal_may_be_named() -> None:
    pull = read(seen="x", day="2026-11-03", deal=" 4711\n")

    assert pull == Pull("x", date(2026, 11, 3), "4711")
    assert words_of(pull) == "x (On 3 November; deal 4711.)"
    assert words_of(Pull("x", None, "4711")) == "x (Deal 4711.)"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "seen"),
        ({"seen": " \u200b\n"}, "seen"),
        ({"seen": "x" * (MAX_SEEN + 1)}, "seen"),
        ({"seen": "\u200b" * 1_000_000 + "x"}, "seen"),
        ({"seen": "x", "day": "2026-11-04"}, "day"),
        ({"seen": "x", "day": "2025-01-01"}, "day"),
        ({"seen": "x", "day": "yesterday"}, "day"),
        ({"seen": "x", "day": "9999-99-99" * 1000}, "day"),
        ({"seen": "x", "deal": "4" * (MAX_DEAL + 1)}, "deal"),
    ],
)
def test_what_does_not_fit_names_its_field(fields: dict[str, str], field: str) -> None:
    with pytest.raises(NotPossibleError) as refused:
        read(**fields)

    assert refused.value.field == field


@given(st.dictionaries(st.sampled_from(["seen", "day", "deal", "x"]), st.text()))
def test_any_form_is_read_or_refused(fields: dict[str, str]) -> None:
    with suppress(NotPossibleError):
        pull = read(**fields)
        assert 0 < len(pull.seen) <= MAX_SEEN
        assert words_of(pull).startswith(pull.seen)
