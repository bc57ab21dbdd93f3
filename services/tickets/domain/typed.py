"""Text that people type: what of it can be stored, and whether there is anything to read in it. Pure."""

from __future__ import annotations

import re
import unicodedata

# JSON may hold halves of letters, which UTF-8 has no bytes for.
_HALVES = re.compile("[\ud800-\udfff]")
# Spaces, control characters and invisible ones.
_UNSEEN = ("Z", "C")


def storable(text: str) -> str:
    """Without NUL, which Postgres does not keep, and with each half of a letter replaced.

    A browser sends a line break as two letters and counts it as one; it becomes one.
    """
    return _HALVES.sub("\ufffd", text.replace("\x00", "").replace("\r\n", "\n"))


def trimmed(text: str) -> str:
    """Without the space around it; empty where nothing of it can be seen."""
    is_seen = any(unicodedata.category(letter)[0] not in _UNSEEN for letter in text)
    return text.strip() if is_seen else ""
