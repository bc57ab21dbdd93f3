"""Header lines of mails, written as they go out.

The library parses every value: it decodes encoded words inside a name, line breaks included, and encodes ids and
domains that are longer than a line. So it writes the headers of MIME parts only.
"""

from __future__ import annotations

import re
import textwrap
from email.header import Header
from email.policy import EmailPolicy
from typing import Any

from services.notifier.domain.safe_text import one_line

_OF_PARTS = ("content-", "mime-version")
_LINE = 76
_PLAIN = re.compile(r"[ -~]*")
_WORDS = re.compile(r"[A-Za-z0-9 ]+")
# A line break that does not continue the header.
_NEW_HEADER = re.compile(r"\r(?!\n)|(?<!\r)\n|\n(?! \S)|[^\x20-\x7e\r\n]")


class VerbatimHeaders(EmailPolicy):
    """Puts our own headers into the mail unchanged, each within ASCII and one field."""

    def header_store_parse(self, name: str, value: Any) -> tuple[str, Any]:
        return super().header_store_parse(name, value) if _is_of_part(name) else (name, value)

    def header_fetch_parse(self, name: str, value: Any) -> Any:
        return super().header_fetch_parse(name, value) if _is_of_part(name) else value.replace("\r\n", "")

    def fold(self, name: str, value: Any) -> str:
        return super().fold(name, value) if _is_of_part(name) else _field(name, value)

    def fold_binary(self, name: str, value: Any) -> bytes:
        return super().fold_binary(name, value) if _is_of_part(name) else _field(name, value).encode("ascii")


# Within ASCII, as not every server offers 8BITMIME.
MAIL = VerbatimHeaders(linesep="\r\n", cte_type="7bit")


def _is_of_part(name: str) -> bool:
    return name.lower().startswith(_OF_PARTS)


def _field(name: str, value: str) -> str:
    if _NEW_HEADER.search(value):
        raise ValueError(f"{name} holds a line break or a character outside ASCII")
    return f"{name}: {value}\r\n"


def unstructured(text: str, name: str = "Subject") -> str:
    """The value of a header for people: folded, in encoded words where it is not plain ASCII."""
    plain = one_line(text)
    if _PLAIN.fullmatch(plain):
        return "\r\n ".join(textwrap.wrap(plain, _LINE - len(name) - 2, break_long_words=False, break_on_hyphens=False))
    return _encoded(plain, name)


def mailbox(name: str, address: str) -> str:
    """The value of From and To. The address has a line of its own, which may be long."""
    plain = one_line(name)
    shown = plain if _WORDS.fullmatch(plain) and len(plain) < _LINE - 6 else _encoded(plain) if plain else ""
    return f"{shown}\r\n <{address}>" if shown else f"<{address}>"


def _encoded(text: str, name: str = "Subject") -> str:
    return Header(text, "utf-8", maxlinelen=_LINE - 1, header_name=name).encode(linesep="\r\n")
