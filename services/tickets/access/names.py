"""Mail addresses and names of accounts."""

from __future__ import annotations

import re

from shared.runtime.addresses import ADDRESS

LONGEST_NAME = 100
# RFC 5321, 4.5.3.1.3: a path of 256 with its angle brackets.
LONGEST_ADDRESS = 254
_ADDRESS = re.compile(ADDRESS)


class UnusableName(ValueError):
    """Says what is wrong with a mail address or a name."""


def is_mail_address(text: str) -> bool:
    """Whether it is exactly one mail address."""
    return len(text) <= LONGEST_ADDRESS and _ADDRESS.fullmatch(text) is not None


def check_mail_address(email: str) -> None:
    """Raises UnusableName."""
    if not is_mail_address(email):
        raise UnusableName(f"{email[:40]!r} is no mail address; write one, as ada@example.org.")


def check_name(name: str) -> None:
    """Raises UnusableName. Signs that do not show could make a name look like another's."""
    if len(name) > LONGEST_NAME or not name.isprintable():
        raise UnusableName(f"Write the name in one line, with {LONGEST_NAME} letters at most and no control signs.")


def shown_name(claimed: str, email: str) -> str:
    """The name that a provider claims for somebody, as far as it can be shown; else their mail address."""
    shown = "".join(letter for letter in claimed if letter.isprintable()).strip()
    return shown[:LONGEST_NAME] or email
