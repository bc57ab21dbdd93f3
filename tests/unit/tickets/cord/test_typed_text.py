"""What people type becomes plain text, whatever it is."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.tickets.cord.typed_text import plain_line, plain_text


@pytest.mark.parametrize(
    ("typed", "plain"),
    [
        ("a\r\nb\rc\u2028d", "a\nb\nc\nd"),
        ("a\x00b\x1b[31mc\x7f", "ab[31mc"),
        ("safe\u202egnp.exe", "safegnp.exe"),
        ("a\u200bb\ufeffc\u00add", "abcd"),
        ("  two   spaces\t and a tab  ", "two spaces and a tab"),
        ("a\n\n\n\n\nb", "a\n\nb"),
        ("\ud800 alone", "alone"),
        ("می\u200cخواهم 👩\u200d💻", "می\u200cخواهم 👩\u200d💻"),
        ("\x00\x01 \n\t", ""),
        ("Grüße, 日本語 & <b>", "Grüße, 日本語 & <b>"),
    ],
)
def test_only_what_can_be_seen_is_kept(typed: str, plain: str) -> None:
    assert plain_text(typed) == plain


@given(st.text())
def test_any_text_can_be_stored_and_stays_as_it_is(typed: str) -> None:
    plain = plain_text(typed)

    plain.encode()
    assert plain_text(plain) == plain
    assert not [c for c in plain if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") and c != "\n"]
    assert "\n" not in plain_line(typed)
