"""Where to go after a sign-in: an address of these pages, never of another site."""

from __future__ import annotations

from urllib.parse import urlsplit

START = "/"
_MAX_LETTERS = 2000


def safe_address(wanted: str) -> str:
    """The address if it is a path on this host, else the start.

    Browsers take `//host`, `/\\host` and addresses with control characters before a slash for other hosts (WHATWG URL).
    """
    if not wanted.startswith("/") or wanted.startswith("//") or len(wanted) > _MAX_LETTERS:
        return START
    if "\\" in wanted or any(ord(letter) < 0x21 or ord(letter) == 0x7F for letter in wanted):
        return START
    parts = urlsplit(wanted)
    return wanted if not parts.scheme and not parts.netloc else START
