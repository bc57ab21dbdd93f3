"""Signed links to a ticket: which keys make and open them, and what cannot be changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.runtime.read_links import LinkedTicket, ReadLinks, ReadLinkSettings, ticket_mark
from shared.runtime.settings import SettingsError

AT = datetime(2026, 11, 28, 9, tzinfo=UTC)
OLD, NEW = "o" * 32, "n" * 32
LINKS = ReadLinks((NEW.encode(),), timedelta(days=7))
MARK = ticket_mark("aging/new/proposal", AT)


def test_a_link_names_its_ticket_and_its_end_and_is_the_same_again() -> None:
    token = LINKS.token(7, MARK, AT)

    assert LINKS.opened(token) == LinkedTicket(7, MARK, AT + timedelta(days=7))
    assert LINKS.token(7, MARK, AT) == token
    assert LINKS.token(7, MARK, AT + timedelta(days=1)) != token


def test_a_key_that_was_put_behind_another_still_opens_and_one_that_was_taken_out_does_not() -> None:
    old = ReadLinks((OLD.encode(),)).token(7, MARK, AT)
    both = ReadLinks((NEW.encode(), OLD.encode()))

    assert both.opened(old) is not None
    assert LINKS.opened(old) is None
    assert LINKS.opened(both.token(7, MARK, AT)) is not None
    assert ReadLinks().opened(old) is None


@given(st.data())
def test_no_changed_token_opens_anything(data: st.DataObject) -> None:
    token = LINKS.token(7, MARK, AT)
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters(codec="utf-8").filter(lambda one: one != token[place]))
    changed = token[:place] + other + token[place + 1 :]

    assert LINKS.opened(changed) is None


@pytest.mark.parametrize("text", ["", "7", "0-" + MARK, "x" * 5000, "7-00000000-1000000000-" + "0" * 40])
def test_no_other_text_opens_anything(text: str) -> None:
    assert LINKS.opened(text) is None
    assert LINKS.opened(LINKS.token(7, MARK, AT) + text + "a") is None
    assert LINKS.opened("a" + text + LINKS.token(7, MARK, AT)) is None


def test_a_signature_of_one_ticket_fits_no_other_and_no_other_end() -> None:
    number, mark, end, signature = LINKS.token(7, MARK, AT).split("-")
    for forged in ((f"{int(number) + 1}", mark, end), (number, "0" * 8, end), (number, mark, f"{int(end) + 1}")):
        assert LINKS.opened("-".join((*forged, signature))) is None


@pytest.mark.parametrize("keys", ["short", f"{NEW},short", f"{NEW},,{'x' * 31}"])
def test_a_short_key_is_refused_and_not_shown(keys: str) -> None:
    with pytest.raises(SettingsError, match="ANDON_LINK_KEYS") as refused:
        ReadLinkSettings.from_environment({"ANDON_LINK_KEYS": keys})

    assert NEW not in str(refused.value)
    assert "openssl rand" in str(refused.value)


def test_keys_come_in_their_order_without_spaces_and_none_makes_no_links() -> None:
    made = ReadLinkSettings.from_environment({"ANDON_LINK_KEYS": f" {NEW} , {OLD}\n", "ANDON_LINK_DAYS": "3"})

    assert made.read_links == ReadLinks((NEW.encode(), OLD.encode()), timedelta(days=3))
    assert ReadLinkSettings.from_environment({}).read_links.keys == ()
    assert NEW not in repr(made)
