"""Links in mails stand for an address and name none; nobody can make one."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notifier.domain.links import Links
from shared.runtime.addresses import ADDRESS

LINKS = Links(b"k" * 32, "https://andon.example.org/", "bounce.example.org")
KNOWN = ["head@sales.example", "deputy@sales.example"]


def test_a_link_stands_for_its_address_in_any_case() -> None:
    page = LINKS.page("Head@Sales.example")

    assert page is not None
    assert page.startswith("https://andon.example.org/mail/")
    assert "head" not in page.lower()
    assert LINKS.address_of(page.rpartition("/")[2], KNOWN) == "head@sales.example"


@given(st.text(max_size=50) | st.from_regex(r"[0-9a-f]{40}", fullmatch=True))
def test_no_other_text_is_a_token(text: str) -> None:
    assert LINKS.address_of(text, KNOWN) is None


def test_another_key_makes_other_tokens() -> None:
    assert Links(b"other", LINKS.url).address_of(LINKS.token(KNOWN[0]), KNOWN) is None


@given(st.integers(1, 2**59))
def test_a_returned_mail_is_known_by_its_address(number: int) -> None:
    path = LINKS.return_path(number)

    assert path is not None
    assert len(path.partition("@")[0]) <= 64
    assert LINKS.mail_of(path) == LINKS.mail_of(path.upper()) == number


@pytest.mark.parametrize(
    "forged",
    ["bounce+1-00000000000000000000@x", "bounce+1@x", "bounce@x", "", "bounce+0-0@x", "x+1-0@y", "bounce+1-@x\r\n"],
)
def test_a_forged_address_is_no_mail(forged: str) -> None:
    assert LINKS.mail_of(forged) is None


def test_a_number_cannot_be_changed() -> None:
    path = LINKS.return_path(17) or ""

    assert LINKS.mail_of(path.replace("+17-", "+18-")) is None


def test_return_paths_are_addresses() -> None:

    assert re.fullmatch(ADDRESS, LINKS.return_path(12) or "")


def test_without_settings_there_are_no_links() -> None:
    assert (Links(b"").page("a@b.example"), Links(b"").return_path(1)) == (None, None)
