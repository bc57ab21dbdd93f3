"""Text that people type can be stored, and says something."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.tickets.domain import commands, lifecycle, planning
from services.tickets.domain.faults import NotPossibleError
from services.tickets.domain.typed import storable, trimmed
from shared.contracts.tickets import TicketOutcome
from tests.support.problems import day, problem

UNSEEN = ["", "  ", "\u200b", "\u2060\ufeff", "\x01\x7f", "\u202e\u202c", " \u00ad\n"]


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_any_text_can_be_stored(text: str) -> None:
    kept = storable(text)

    assert kept.encode().decode() == kept
    assert "\x00" not in kept
    assert storable(kept) == kept


@pytest.mark.parametrize("text", UNSEEN)
def test_nothing_that_can_be_seen_is_no_text(text: str) -> None:
    assert trimmed(text) == ""
    ticket = lifecycle.begin(problem(), day(0)).ticket
    with pytest.raises(NotPossibleError, match="Write why") as refused:
        commands.close(ticket, TicketOutcome.WONT_FIX, text, day(1), is_confirmed=True)
    assert refused.value.field == "reason"
    planned = planning.seal(ticket, 1, day(9).date(), day(0)).ticket
    with pytest.raises(NotPossibleError, match="Write why the plan is withdrawn"):
        planning.withdraw(planned, text, day(1), day(1).date())


@pytest.mark.parametrize("text", ["no", " no ", "不", "\u200bno", "\U0001f600", "-"])
def test_what_can_be_seen_is_kept(text: str) -> None:
    assert trimmed(text) == text.strip()
