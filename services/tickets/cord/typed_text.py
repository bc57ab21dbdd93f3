"""Makes what people type plain: text without control and invisible characters, within a length."""

from __future__ import annotations

import re
import unicodedata

# They join letters of some scripts, and parts of emoji.
_JOINERS = "\u200c\u200d"
_SPACES = re.compile(r"[^\S\n]+")
_EMPTY_LINES = re.compile(r"\n{3,}")
_BREAKS = ("\r\n", "\r", "\u2028", "\u2029", "\x0b", "\x0c", "\x85")
# Control, invisible and unpaired characters, and what Unicode has not assigned.
_UNSEEN = ("Cc", "Cf", "Cs", "Cn")


def plain_text(typed: str) -> str:
    """Lines of plain text, at most one of them empty in a row."""
    for one in _BREAKS:
        typed = typed.replace(one, "\n")
    shown = "".join(letter for letter in typed.replace("\t", " ") if _is_seen(letter))
    lines = (_SPACES.sub(" ", line).strip() for line in shown.split("\n"))
    return _EMPTY_LINES.sub("\n\n", "\n".join(lines)).strip()


def plain_line(typed: str) -> str:
    """The same in one line."""
    return " ".join(plain_text(typed).split())


def _is_seen(letter: str) -> bool:
    return letter == "\n" or letter in _JOINERS or unicodedata.category(letter) not in _UNSEEN
