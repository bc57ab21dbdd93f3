"""One sentence on the messages that an evaluation published."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from services.detector.control import MessageCounts


def describe_counts(counts: MessageCounts | None) -> str:
    """`Problem messages published: 3 opened, 1 cleared.`"""
    parts = ", ".join(f"{count} {reason.value}" for reason, count in (counts or {}).items())
    return f"Problem messages published: {parts or 'none, nothing changed'}."
